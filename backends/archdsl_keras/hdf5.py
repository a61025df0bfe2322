"""Numbers out of HDF5 files that others wrote, put into a file that this program wrote itself.

Keras takes what a file holds: links to other files, or more than memory has. Here only numbers of the shapes that are
wanted are read.
"""

from collections.abc import Iterator
from typing import Any

import h5py

__all__ = ["fill", "layers"]

_VARIABLES = "vars"  # what Keras calls the group of a layer's own variables; its attribute `name` is the layer's


def fill(wanted: h5py.File, found: h5py.File, network: str = "") -> None:
    """Have the numbers of `found` in `wanted`: each variable is found by the names of the layers that it is in.

    The places of layers depend on how the program is written, which archdsl may have done otherwise before.
    network: see `layers`. Raises OSError, KeyError, TypeError or RuntimeError where they are not all there.
    """
    by_names = dict(layers(found, network))
    for names, layer in layers(wanted, network):
        for number, variable in layer.items():
            variable[...] = _numbers(by_names[names], number, variable)


def layers(file: h5py.File, network: str = "") -> Iterator[tuple[tuple[str, ...], Any]]:
    """The variables of each layer, with the names of the layers around it; what is in no network goes by its place.

    network: where networks stand in the file, `layers` or at its root. Keras numbers networks of one name: the first
    name below `layers` does not count.
    """
    places: list[str] = []
    file.visit(places.append)  # what is linked to is not in the file
    ends = f"/{_VARIABLES}"
    own = {f"/{place}".removesuffix(ends): file[place] for place in places if f"/{place}".endswith(ends)}
    for place, layer in own.items():
        parts = place.split("/")
        around = ("/".join(parts[:end]) for end in range(2, len(parts) + 1))
        names = [str(own[outer].attrs["name"]) for outer in around if outer in own]
        inside = place.startswith(f"/{network}")
        yield tuple(names[bool(network) :]) if inside else (place,), layer


def _numbers(layer: Any, name: str, wanted: Any) -> Any:
    """Of a variable. Raises KeyError or TypeError where it is not as it has to be, or is not in the file itself."""
    found = layer[name] if isinstance(layer.get(name, getlink=True), h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        raise TypeError(f"it has no numbers {name} of `{wanted.parent.parent.name}`")
    if (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
        raise TypeError(f"it has {found.shape} in {found.dtype} where {wanted.shape} in {wanted.dtype} is needed")
    return found[()]
