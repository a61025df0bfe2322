"""What a PyTorch module computes, told to a `Scribe`: it runs once, on tensors without numbers. Imports PyTorch.

Modules are seen as they are called and functions as PyTorch sees them, so what an author wrote by hand and what
`torch.nn` has inside are read alike. Tensors that depend on neither input nor weights are computed beside it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from archdsl.lifting import NoEqual, Scribe
from archdsl.lifting.layout import Laid, LayoutFails, size
from archdsl.lifting.net import Port
from archdsl_torch.recognise import FUNCTIONS, IGNORED, Silent

__all__ = ["Traced", "outputs_of", "trace"]

BATCH = 1009  # a prime that no size of a network has
MOST_KNOWN = 2**22  # numbers of a tensor that is computed beside


class Traced:
    """scribe: what was told. outputs: what the model gave. refused: what has no equal, by module path and reason."""

    def __init__(self, scribe: Scribe, outputs: list[Laid], refused: list[NoEqual]) -> None:
        self.scribe, self.outputs, self.refused = scribe, outputs, refused


def trace(module: nn.Module, shapes: Sequence[Sequence[int]]) -> Traced:
    """What a module computes in evaluation of inputs of these sizes, without the batch.

    Raises what the module raises.
    """
    scribe = Scribe(BATCH)
    twin = _without_numbers(module)
    reader = _Reader(scribe, module, twin)
    inputs = [torch.empty(BATCH, *shape, device="meta") for shape in shapes]
    for x in inputs:
        reader.hold(x, scribe.input(tuple(x.shape)))
    with torch.no_grad(), _calls_seen(reader), reader:
        result = twin(*inputs)
    found = [] if reader.refused else [scribe.planes(reader.laid(x)) for x in outputs_of(result)]
    return Traced(scribe, found, reader.refused)


def _without_numbers(module: nn.Module) -> nn.Module:
    """A copy in evaluation whose weights and buffers have shapes alone."""
    memo: dict[int, Any] = {}
    for p in module.parameters():
        memo[id(p)] = nn.Parameter(p.detach().to("meta"), p.requires_grad)
    for b in module.buffers():
        memo[id(b)] = b.detach().to("meta")
    return copy.deepcopy(module, memo).eval()


def outputs_of(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    values = result.values() if isinstance(result, dict) else result
    if not isinstance(result, dict | list | tuple) or not values or not all(isinstance(v, Tensor) for v in values):
        raise NoEqual("", f"the model gives no tensor but a {type(result).__name__}")
    return list(values)


@contextmanager
def _calls_seen(reader: _Reader) -> Iterator[None]:
    """Every call of a module of the twin is told to the reader."""
    plain = nn.Module.__call__

    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return reader.call(plain, self, args, kwargs)

    nn.Module.__call__ = call  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.__call__ = plain  # type: ignore[method-assign]


class _Reader(TorchFunctionMode):
    """Sees every function. Tensors are known by identity, and are kept so that none is taken for another."""

    def __init__(self, scribe: Scribe, module: nn.Module, twin: nn.Module) -> None:
        super().__init__()
        self.scribe, self.refused = scribe, list[NoEqual]()
        self.paths = {id(m): path for path, m in twin.named_modules()}
        self.known: dict[int, Tensor] = {}
        self.made: dict[int, Laid | None] = {}
        self.kept: list[Tensor] = []
        self.names = {id(t): name for name, t in twin.named_parameters()}
        self.buffers = {id(t): name for name, t in twin.named_buffers()}
        real = dict(module.named_buffers())
        for name, b in twin.named_buffers():
            self.known[id(b)] = real[name].detach().cpu()

    # --- modules ---

    def call(self, plain: Any, module: nn.Module, args: Any, kwargs: Any) -> Any:
        path = self.paths.get(id(module))
        if not path:
            return plain(module, *args, **kwargs)
        doc = (type(module).__doc__ or "").strip().split("\n")[0]
        with self.scribe.within(path, type(module).__name__, doc) as region:
            first = next((a for a in args if isinstance(a, Tensor)), None)
            laid = self.made.get(id(first)) if first is not None else None
            region.first = laid.port if laid is not None else None
            region.plain = type(module).__module__.startswith("torch.nn.")
            result = plain(module, *args, **kwargs)
            if first is not None and result is first and laid is not None and (p := _dropped(module)):
                self.hold(first, self.scribe.same("droppath", laid, {"p": p}))
            return result

    # --- tensors ---

    def hold(self, tensor: Tensor, laid: Laid | None) -> None:
        if laid is not None and tuple(tensor.shape) != laid.shape:
            self.scribe.refuse(f"sizes {tuple(tensor.shape)} that came out as {laid.shape}")
        if laid is not None and isinstance(laid.port, Port):
            self.scribe.channels[laid.port] = size(laid.axes[0])
        self.made[id(tensor)] = laid
        self.known.pop(id(tensor), None)
        self.kept.append(tensor)

    def laid(self, tensor: Tensor) -> Laid:
        """Raises Silent where a refusal came before, NoEqual for a tensor from nowhere."""
        if id(tensor) in self.made:
            found = self.made[id(tensor)]
            if found is None:
                raise Silent
            return found
        if id(tensor) in self.names:
            return self.scribe.param(self.names[id(tensor)], tuple(tensor.shape))
        if id(tensor) in self.known:
            value = self.known[id(tensor)]
            if value.dim() and value.shape[0] == BATCH and (value == value[:1]).all():
                laid = self.scribe.given(value[:1].numpy())
                return Laid(laid.port, laid.axes, laid.dims, tuple(value.shape))
            return self.scribe.given(value.numpy())
        raise NoEqual(self.scribe.module, "a tensor that is no weight, buffer or value of the model")

    # --- functions ---

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = _name(func)
        result = func(*args, **kwargs)
        made = _tensors(result)
        if not made or name in IGNORED:
            return result
        given = [*_tensors(args), *_tensors(tuple(kwargs.values()))]
        if self._beside(func, name, args, kwargs, given, made, result):
            return result
        try:
            rule = FUNCTIONS.get(name)
            if rule is None:
                self.scribe.refuse(f"`{name}`")
            told = rule(self.scribe, self, result, *args, **{k: v for k, v in kwargs.items() if k != "out"})
            laids = list(told) if isinstance(told, list | tuple) else [told]
            for tensor, laid in zip(made, laids, strict=True):
                self.hold(tensor, laid)
        except Silent:
            self._unknown(made)
        except NoEqual as error:
            self.refused.append(error)
            self._unknown(made)
        except LayoutFails as error:
            self.refused.append(NoEqual(self.scribe.module, f"`{name}`: {error}"))
            self._unknown(made)
        return result

    def _unknown(self, made: Sequence[Tensor]) -> None:
        for tensor in made:
            self.made[id(tensor)] = None
            self.known.pop(id(tensor), None)
            self.kept.append(tensor)

    def _beside(self, func: Any, name: str, args: Any, kwargs: Any, given: list[Tensor], made: list[Tensor],
                result: Any) -> bool:  # fmt: skip
        """Whether the result depends on neither input nor weights; it is computed then."""
        shapes_alone = name.endswith("_like") or name in _NEW
        if not shapes_alone and any(id(t) not in self.known for t in given if not self._real(t)):
            return False
        if name in _RANDOM or sum(t.numel() for t in made) > MOST_KNOWN * BATCH:
            return False
        try:
            with torch._C.DisableTorchFunction():
                real = func(*_real(args, self.known), **_real(kwargs, self.known) | _on_cpu(kwargs, name, func))
        except Exception:
            return False
        for tensor, value in zip(made, _tensors(real), strict=True):
            if value.device.type == "meta":
                return False
            self.known[id(tensor)] = value
            self.made.pop(id(tensor), None)
            self.kept.append(tensor)
        return True

    def _real(self, tensor: Tensor) -> bool:
        """Whether a tensor came from outside with numbers."""
        if id(tensor) in self.known or id(tensor) in self.made or id(tensor) in self.names:
            return False
        if tensor.device.type != "meta":
            self.known[id(tensor)] = tensor.detach()
            self.kept.append(tensor)
        return True


_NEW = {"new_zeros", "new_ones", "new_full", "new_tensor", "zeros_like", "ones_like", "full_like"}
_RANDOM = {"rand", "randn", "randint", "bernoulli", "bernoulli_", "rand_like", "randn_like", "new_empty", "empty",
           "empty_like", "normal", "normal_", "uniform_", "dropout", "empty_strided", "randperm"}  # fmt: skip
_CREATE = {"zeros", "ones", "full", "arange", "linspace", "tensor", "eye", "as_tensor", "to", *_NEW}


def _on_cpu(kwargs: dict[str, Any], name: str, func: Any) -> dict[str, Any]:
    return {"device": "cpu"} if (name in _CREATE and name != "to") or "device" in kwargs else {}


def _real(value: Any, known: dict[int, Tensor]) -> Any:
    """Arguments with what is computed beside in the place of tensors without numbers."""
    if isinstance(value, Tensor):
        return known.get(
            id(value), torch.empty(value.shape, dtype=value.dtype) if value.numel() < MOST_KNOWN else value
        )
    if isinstance(value, list | tuple):
        return type(value)(*(_real(v, known) for v in value)) if hasattr(value, "_fields") else type(value)(
            _real(v, known) for v in value)  # fmt: skip
    if isinstance(value, dict):
        return {k: _real(v, known) for k, v in value.items()}
    if isinstance(value, torch.device):
        return torch.device("cpu")
    return value


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, list | tuple):
        return [t for v in value for t in _tensors(v)]
    return []


def _name(func: Any) -> str:
    name = getattr(func, "__name__", str(func))
    if name == "__get__":
        return f"get {func.__self__.__name__}"
    return name


def _dropped(module: nn.Module) -> float | None:
    """The probability with which a module leaves whole examples out in training, where it is such a one."""
    name = type(module).__name__.lower()
    if not any(word in name for word in ("droppath", "drop_path", "stochasticdepth")):
        return None
    p = getattr(module, "drop_prob", getattr(module, "p", None))
    return float(p) if isinstance(p, int | float) and 0 < p < 1 else None
