"""Given tensors: the same numbers for every example, without weights. Positions and masks are calculated of them.

Generated code makes them where they are read, in the type of numbers that the network computes in, so a size may come
from the input: `arange(in.w)` is as long as the image is wide.
"""

from typing import Any, ClassVar

from archdsl.language.ops.learned import of_sizes
from archdsl.language.ops.op import Op, op
from archdsl.language.schema import parameter
from archdsl.language.types import Dim, TensorType

__all__ = ["Arange", "Const", "Ones", "Zeros"]


class Given(Op):
    """Base of what reads no tensor."""

    ports = ()
    gives = True


@op
class Zeros(Given):
    """Nothing but 0: `zeros([c, n])`.

    Params: none.  MACs: 0.
    Errors: E0201 (no axis, or more than 8).
    """

    shape_: Dim | tuple[Dim, ...] = parameter("ints", low=1)

    examples: ClassVar = [([], {"shape": (4, 5, 6)}, (4, 5, 6))]

    def shape(self, *x: TensorType) -> TensorType:
        return of_sizes(self.name, self.shape_)


@op
class Ones(Given):
    """Nothing but 1: `ones([c, n])`; times a number it is nothing but that, times a tensor it repeats it.

    Params: none.  MACs: 0.
    Errors: E0201 (no axis, or more than 8).
    """

    shape_: Dim | tuple[Dim, ...] = parameter("ints", low=1)

    examples: ClassVar = [([], {"shape": (4, 5, 6)}, (4, 5, 6)), ([], {"shape": 3}, (3,))]

    def shape(self, *x: TensorType) -> TensorType:
        return of_sizes(self.name, self.shape_)


@op
class Arange(Given):
    """`n` numbers, `start` and then `step` more each: `arange(4)` is 0, 1, 2, 3.

    Params: none.  MACs: 0.
    """

    n: Dim = parameter("int", low=1)
    start: Dim = parameter("number", 0)
    step: Dim = parameter("number", 1)

    examples: ClassVar = [([], {"n": 5}, (5,)), ([], {"n": 4, "start": -1, "step": 0.5}, (4,))]

    def shape(self, *x: TensorType) -> TensorType:
        return TensorType((self.n,))


@op
class Const(Given):
    """The numbers of a list: `const([1, 2, 1])`; lists in a list are rows: `const([[1, 0, -1], [2, 0, -2]])` is [2, 3].

    Params: none.  MACs: 0.
    Errors: E0301 (lists of several lengths, or something that is no number), E0201 (more than 8 axes).
    """

    values: tuple[Any, ...] = parameter("numbers")

    examples: ClassVar = [([], {"values": (1, -2, 0.5)}, (3,)), ([], {"values": ((1, 2, 3), (4, 5, 6))}, (2, 3))]

    def shape(self, *x: TensorType) -> TensorType:
        lengths, part = [], self.values
        while isinstance(part, tuple):
            lengths.append(Dim(len(part)))
            part = part[0]
        return of_sizes(self.name, tuple(lengths))
