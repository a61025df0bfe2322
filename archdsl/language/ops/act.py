"""Activations: the same rule for every number, and softmax. Shapes stay as they are; MACs are 0."""

from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

from archdsl.language.ops.axes import Axis, axes_of
from archdsl.language.ops.op import Op, Shape, op, sizes
from archdsl.language.schema import parameter
from archdsl.language.types import Dim, TensorType

__all__ = [
    "Elu", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Mish", "PRelu", "Relu", "Relu6", "Selu",
    "Sigmoid", "Silu", "Softmax", "Softplus", "Tanh",
]  # fmt: skip

SAME: list[tuple[tuple[int, ...], dict[str, object], tuple[int, ...]]] = [((4, 5, 6), {}, (4, 5, 6)), ((4,), {}, (4,))]


@op
class Identity(Op):
    """The input as it is."""

    name = "id"
    examples: ClassVar = SAME


@op
class Relu(Op):
    """max(x, 0). Source: Nair & Hinton 2010."""

    keeps_output = True
    examples: ClassVar = SAME


@op
class Relu6(Op):
    """min(max(x, 0), 6). Source: Howard et al. 2017 (arXiv:1704.04861)."""

    keeps_input = True
    examples: ClassVar = SAME


@op
class LeakyRelu(Op):
    """x where positive, slope * x elsewhere. Source: Maas et al. 2013."""

    slope: Dim = parameter("number", Fraction(1, 100))

    name = "leaky_relu"
    keeps_input = True
    examples: ClassVar = [*SAME, ((4,), {"slope": 0.2}, (4,))]


@op
class PRelu(Op):
    """x where positive, weight * x elsewhere, with one learned slope a channel that starts at `init`.

    Params: c.  Source: He et al. 2015 (arXiv:1502.01852).
    """

    init: Dim = parameter("number", Fraction(1, 4))

    keeps_input = True
    examples: ClassVar = [*SAME, ((4, 5), {"init": 0.1}, (4, 5))]

    def weights(self, x: TensorType) -> Mapping[str, Shape]:
        return {"weight": sizes(x.c)}


@op
class Elu(Op):
    """x where positive, alpha * (exp(x) - 1) elsewhere. Source: Clevert et al. 2016 (arXiv:1511.07289)."""

    alpha: Dim = parameter("number", 1)

    keeps_input = True
    examples: ClassVar = [*SAME, ((4,), {"alpha": 0.5}, (4,))]


@op
class Selu(Op):
    """1.0507009873554805 * elu(x, alpha=1.6732632423543772). Source: Klambauer et al. 2017 (arXiv:1706.02515)."""

    keeps_input = True
    examples: ClassVar = SAME


@op
class Sigmoid(Op):
    """1 / (1 + exp(-x))."""

    keeps_output = True
    examples: ClassVar = SAME


@op
class HardSigmoid(Op):
    """min(max(x + 3, 0), 6) / 6. Source: Howard et al. 2019 (arXiv:1905.02244)."""

    keeps_input = True
    examples: ClassVar = SAME


@op
class Tanh(Op):
    """The hyperbolic tangent."""

    keeps_output = True
    examples: ClassVar = SAME


@op
class Gelu(Op):
    """x * Phi(x), Phi the normal distribution function by the error function: exact, not the tanh approximation.

    Source: Hendrycks & Gimpel 2016 (arXiv:1606.08415).
    """

    keeps_input = True
    examples: ClassVar = SAME


@op
class Silu(Op):
    """x * sigmoid(x), also called swish. Source: Ramachandran et al. 2017 (arXiv:1710.05941)."""

    keeps_input = True
    examples: ClassVar = SAME


@op
class HardSwish(Op):
    """x * min(max(x + 3, 0), 6) / 6. Source: Howard et al. 2019 (arXiv:1905.02244)."""

    keeps_input = True
    examples: ClassVar = SAME


@op
class Mish(Op):
    """x * tanh(softplus(x)). Source: Misra 2019 (arXiv:1908.08681)."""

    keeps_input = True
    examples: ClassVar = SAME


@op
class Softplus(Op):
    """log(1 + exp(x)). Source: Dugas et al. 2000."""

    keeps_input = True
    examples: ClassVar = SAME


@op
class Softmax(Op):
    """exp(x) / sum(exp(x)) along `axis`: positive numbers that add up to 1 there.

    `axis` is a number (-1 is the last) or names: `softmax("h w")` is one distribution over all positions
    of each channel. The channels by default.

    Errors: E0208 (no such axis).
    """

    axis: Axis = parameter("axis", 0)

    keeps_output = True
    examples: ClassVar = [*SAME, ((4, 5, 6), {"axis": "h w"}, (4, 5, 6)), ((2, 3, 4, 5), {"axis": -1}, (2, 3, 4, 5))]

    def axes(self, x: TensorType) -> tuple[int, ...]:
        """The axes that the sum is over."""
        return axes_of(self.name, self.axis, x)

    def shape(self, x: TensorType) -> TensorType:
        self.axes(x)
        return x
