"""`archdsl import`: from a model of a framework to a spec, and its weights by the paths of the spec."""

from argparse import ArgumentTypeError
from pathlib import Path

from archdsl import api
from archdsl.cli.flags import Command, flag
from archdsl.cli.terminal import WrongCommand, check_ours, note, print_text, replace_file, say

__all__ = ["COMMANDS"]


def import_(
    source: str, output: str, weights: str | None, input: tuple[int, ...] | None, name: str | None, force: bool
) -> int:
    """Nothing is written unless the spec was held against the model and found the same."""
    from archdsl.lifting import made_by
    from archdsl.weights import describe, pack

    if weights is not None and not weights.endswith(".safetensors"):
        raise WrongCommand(f"`{weights}` is no name for weights: end it in .safetensors")
    for path in (output, weights):
        if path not in (None, "-"):
            check_ours(Path(str(path)).expanduser(), force)
    with api.needs("torch"):
        network = made_by(source)
    found = api.lift(network, input, name, source)
    if output == "-":
        print_text(found.text, exact=True)
    else:
        replace_file(Path(output).expanduser(), found.text.encode())
    tell = note if output == "-" else say
    size = "x".join(map(str, found.size))
    tell(f"{output}: {found.held.parameters:,} parameters, input {size}; outputs within {found.held.outputs:.0e}, "
         f"gradients within {found.held.gradients:.0e}")  # fmt: skip
    if found.held.unread:
        numbers = sum(found.held.unread.values())
        note(f"{numbers:,} parameters that no output reads are left out: {', '.join(list(found.held.unread)[:5])}")
    if weights is not None:
        replace_file(Path(weights).expanduser(), pack(found.tensors(), describe(found.origin)))
        tell(f"{weights}: {len(found.weights)} tensors")
    return 0


def _size(text: str) -> tuple[int, ...]:
    parts = text.split("x")
    if not all(part.isascii() and part.isdigit() and 0 < int(part) < 2**20 for part in parts):
        raise ArgumentTypeError(f"{text!r} is no size like 3x224x224")
    return tuple(map(int, parts))


COMMANDS = {
    "import": Command(
        import_,
        flag(
            "source",
            metavar="SOURCE",
            help="package.module:factory or file.py:factory, with arguments where it takes some",
        ),
        flag("-o", "--output", metavar="FILE", default="-", help="where to put the spec"),
        flag("--weights", metavar="FILE", help="write the model's weights too, by the paths of the spec: .safetensors"),
        flag("--input", type=_size, metavar="CxHxW", help="the size of the input; as the model says, if not given"),
        flag("--name", metavar="NAME", help="of the spec's model; after its class, if not given"),
        flag("--force", action="store_true", help="replace FILE even where archdsl did not write it"),
        examples=(
            "archdsl import nets.py:resnet -o resnet.arch",
            "archdsl import \"timm:create_model('resnet18')\" -o resnet18.arch --weights resnet18.safetensors",
        ),
    ),
}
