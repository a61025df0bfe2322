"""Libraries that are loaded when something of them is first used: a `check` needs none, and they may be missing."""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["Array", "Later", "NDArray", "Pixels", "np"]


class Later(ModuleType):
    """The module of that name. What is asked of it raises ModuleNotFoundError where it is not installed."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]
    Pixels = NDArray[np.uint8]
else:
    np = Later("numpy")
    NDArray = Array = Pixels = Any  # the files that say them keep their types as texts
