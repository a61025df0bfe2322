"""Powers, roots, exponentials and limits: the same rule for every number. Shapes stay as they are; MACs are 0.

What has no settings is a function as well: `sqrt(x)` is `x -> sqrt`. A number that a rule has no value for (the root or
logarithm of one below 0) becomes the framework's NaN; where the text alone shows that such numbers come in, it is
warned of (W0106), as is an infinite slope at 0 (W0107).
"""

from typing import ClassVar

from archdsl.language.errors.shapes import LimitsCross, WhichSetting
from archdsl.language.ops.op import Op, Reject, op
from archdsl.language.schema import parameter
from archdsl.language.types import Dim, TensorType

__all__ = ["Abs", "Clip", "Cos", "Exp", "Log", "Pow", "Sin", "Sqrt"]

MOST = 64  # of an exponent


class Rule(Op):
    """Base of what is done to each number alone."""

    examples: ClassVar = [((4, 5, 6), {}, (4, 5, 6)), ((4,), {}, (4,))]


@op
class Pow(Rule):
    """Every number to the power `p`: `x -> pow(3)` is `x ** 3`.

    `p` is any number from -64 to 64. One that is not whole has a value from 0 on alone, below 0 it is NaN.

    Source: as a pool with learned exponents Radenovic et al. 2019 (arXiv:1711.02512).
    """

    p: Dim = parameter("number", low=-MOST, high=MOST)

    keeps_input = True
    examples: ClassVar = [((4, 5, 6), {"p": 3}, (4, 5, 6)), ((4,), {"p": 0.75}, (4,))]


@op
class Sqrt(Rule):
    """The square root of every number; below 0 it is NaN, and its slope at 0 is infinite."""

    keeps_output = True


@op
class Exp(Rule):
    """e to the power of every number."""

    keeps_output = True


@op
class Log(Rule):
    """The natural logarithm of every number; of 0 it is minus infinity, below 0 NaN."""

    keeps_input = True


@op
class Abs(Rule):
    """Every number without its sign."""

    keeps_input = True


@op
class Sin(Rule):
    """The sine of every number."""

    keeps_input = True


@op
class Cos(Rule):
    """The cosine of every number."""

    keeps_input = True


@op
class Clip(Rule):
    """Every number, but at least `min` and at most `max`; one of them may be left out: `clip(0, 6)`, `clip(min=1e-6)`.

    Errors: E0214 (neither is given), E0231 (`min` is above `max`).
    """

    min: Dim | None = parameter("number", auto=True)
    max: Dim | None = parameter("number", auto=True)

    keeps_input = True
    examples: ClassVar = [
        ((4, 5, 6), {"min": -0.5, "max": 0.25}, (4, 5, 6)),
        ((4, 5), {"min": 0.1}, (4, 5)),
        ((4,), {"max": 1}, (4,)),
    ]

    def shape(self, x: TensorType) -> TensorType:
        if self.min is None and self.max is None:
            advice = "`clip(0, 6)` has both, `clip(min=0)` and `clip(max=6)` have one"
            raise Reject(WhichSetting(self.name, "`min`, `max` or both", "neither", advice))
        if self.min is not None and self.max is not None and self.min > self.max:
            raise Reject(LimitsCross(str(self.min), str(self.max)), at="min")
        return x
