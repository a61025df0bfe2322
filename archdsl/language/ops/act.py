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


class Activation(Op):
    """Base of the activations: the backward pass reads the input, unless an op says that it reads the output."""

    keeps_input = True
    examples: ClassVar = [((4, 5, 6), {}, (4, 5, 6)), ((4,), {}, (4,))]


@op
class Identity(Activation):
    """The input as it is."""

    name = "id"
    keeps_input = False


@op
class Relu(Activation):
    """max(x, 0). Source: Nair & Hinton 2010."""

    keeps_input, keeps_output = False, True


@op
class Relu6(Activation):
    """min(max(x, 0), 6). Source: Howard et al. 2017 (arXiv:1704.04861)."""


@op
class LeakyRelu(Activation):
    """x where positive, slope * x elsewhere. Source: Maas et al. 2013."""

    slope: Dim = parameter("number", Fraction(1, 100))

    name = "leaky_relu"
    examples: ClassVar = [*Activation.examples, ((4,), {"slope": 0.2}, (4,))]


@op
class PRelu(Activation):
    """x where positive, weight * x elsewhere, with one learned slope a channel that starts at `init`.

    Params: c.  Source: He et al. 2015 (arXiv:1502.01852).
    """

    init: Dim = parameter("number", Fraction(1, 4))

    examples: ClassVar = [*Activation.examples, ((4, 5), {"init": 0.1}, (4, 5))]

    def weights(self, x: TensorType) -> Mapping[str, Shape]:
        return {"weight": sizes(x.c)}


@op
class Elu(Activation):
    """x where positive, alpha * (exp(x) - 1) elsewhere. Source: Clevert et al. 2016 (arXiv:1511.07289)."""

    alpha: Dim = parameter("number", 1)

    examples: ClassVar = [*Activation.examples, ((4,), {"alpha": 0.5}, (4,))]


@op
class Selu(Activation):
    """1.0507009873554805 * elu(x, alpha=1.6732632423543772). Source: Klambauer et al. 2017 (arXiv:1706.02515)."""


@op
class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""

    keeps_input, keeps_output = False, True


@op
class HardSigmoid(Activation):
    """min(max(x + 3, 0), 6) / 6. Source: Howard et al. 2019 (arXiv:1905.02244)."""


@op
class Tanh(Activation):
    """The hyperbolic tangent."""

    keeps_input, keeps_output = False, True


@op
class Gelu(Activation):
    """x * Phi(x), Phi the normal distribution function by the error function: exact, not the tanh approximation.

    Source: Hendrycks & Gimpel 2016 (arXiv:1606.08415).
    """


@op
class Silu(Activation):
    """x * sigmoid(x), also called swish. Source: Ramachandran et al. 2017 (arXiv:1710.05941)."""


@op
class HardSwish(Activation):
    """x * min(max(x + 3, 0), 6) / 6. Source: Howard et al. 2019 (arXiv:1905.02244)."""


@op
class Mish(Activation):
    """x * tanh(softplus(x)). Source: Misra 2019 (arXiv:1908.08681)."""


@op
class Softplus(Activation):
    """log(1 + exp(x)). Source: Dugas et al. 2000."""


@op
class Softmax(Activation):
    """exp(x) / sum(exp(x)) along `axis`: positive numbers that add up to 1 there.

    `axis` is a number (-1 is the last) or names: `softmax("h w")` is one distribution over all positions
    of each channel. The channels by default.

    Errors: E0208 (no such axis).
    """

    axis: Axis = parameter("axis", 0)

    keeps_input, keeps_output = False, True
    examples: ClassVar = [
        *Activation.examples,
        ((4, 5, 6), {"axis": "h w"}, (4, 5, 6)),
        ((2, 3, 4, 5), {"axis": -1}, (2, 3, 4, 5)),
        ((2, 1, 3, 2, 2), {"axis": 2}, (2, 1, 3, 2, 2)),
    ]

    def axes(self, x: TensorType) -> tuple[int, ...]:
        """The axes that the sum is over."""
        return axes_of(self.name, self.axis, x)

    def shape(self, x: TensorType) -> TensorType:
        self.axes(x)
        return x
