"""Attention with relative positions in generated PyTorch: every form against an oracle, and what it keeps in memory."""

import copy
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed
from effort import HEAVY
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

import archdsl

SPEC = """
model m {{
  input [{c}, {h}, {w}]
  a: rel_attention({dk}, {dv}, {heads}, relative={relative})
}}
"""
FORMS = ("naive", "augmented", "rebuilt")
# Grids of one position, one row, one column, of several images a tile, and of several tiles with a rest.
GRIDS = ((1, 1), (1, 12), (12, 1), (3, 5), (9, 8), (16, 17))
WIDTHS = ((4, 4, 4), (6, 9, 3), (16, 8, 8))  # dk, dv, heads: one dim a head, more values than keys, fewer


def layer(h: int, w: int, dk: int = 16, dv: int = 8, heads: int = 8, relative: str = "true") -> Any:
    """The layer as a generated file has it, in float64."""
    torch.manual_seed(h * w + dk)
    text = SPEC.format(c=2 * dk + dv, h=h, w=w, dk=dk, dv=dv, heads=heads, relative=relative)
    return archdsl.load(text).a.double()


def images(module: Any, h: int, w: int, batch: int = 3) -> Tensor:
    return torch.randn(batch, sum(module.parts), h, w, dtype=torch.float64, requires_grad=True)


def oracle(module: Any, x: Tensor) -> Tensor:
    """Bello et al. (2019), equations 1 to 4: every pair's logit from its own row of each table."""
    heads, (batch, _, h, w) = module.heads, x.shape
    q, k, v = (p.reshape(batch, heads, -1, h * w) for p in x.split(module.parts, 1))
    q = q * q.shape[2] ** -0.5
    logits = torch.einsum("bndi,bndj->bnij", q, k)
    at = torch.arange(h * w)
    for axis, size, name in ((at // w, h, "rel_h"), (at % w, w, "rel_w")):
        if hasattr(module, name):
            rows = getattr(module, name)[..., axis[None] - axis[:, None] + size - 1, :]
            logits = logits + torch.einsum("bndi,nijd->bnij", q, rows.expand(heads, -1, -1, -1))
    return torch.einsum("bnij,bndj->bndi", logits.softmax(3), v).reshape(batch, -1, h, w)


def gradients(out: Tensor, module: nn.Module, x: Tensor) -> list[Tensor]:
    cotangent = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)
    return list(torch.autograd.grad(out, [x, *module.parameters()], cotangent))


def form(module: Any, name: str, x: Tensor) -> Tensor:
    found: Tensor = getattr(module, name)(x, module.table(module.rel_h), module.table(module.rel_w))
    return found


def same(found: list[Tensor], wanted: list[Tensor], within: float) -> None:
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        a, b = a.detach().double(), b.detach()
        assert float((a - b).abs().max()) <= within * max(1.0, float(b.abs().max()))


@pytest.mark.parametrize("relative", ["true", '"per_head"', "false"])
@pytest.mark.parametrize("grid", GRIDS, ids="{0[0]}x{0[1]}".format)
def test_every_form_computes_the_papers_formula(grid: tuple[int, int], relative: str) -> None:
    for dk, dv, heads in WIDTHS:
        module = layer(*grid, dk, dv, heads, relative)
        x = images(module, *grid)
        wanted = oracle(module, x)
        slopes = gradients(wanted, module, x)
        for out in (module(x), *(form(module, name, x) for name in FORMS if relative != "false")):
            same([out], [wanted], 1e-12)
            same(gradients(out, module, x), slopes, 1e-11)
        single = copy.deepcopy(module).float()(x.detach().float())
        same([single], [wanted], 1e-5)


def test_gradients_are_those_of_the_function() -> None:
    module = layer(9, 8, 4, 2, 2)
    x = images(module, 9, 8, 2)

    def function(x: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
        return torch.func.functional_call(module, {"rel_h": rel_h, "rel_w": rel_w}, (x,))

    assert torch.autograd.gradcheck(function, (x, module.rel_h, module.rel_w), fast_mode=True)


# --- memory ----------------------------------------------------------------------------------------------


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation gives."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for t in out if isinstance(out, tuple | list) else [out]:
            if isinstance(t, Tensor):
                self.elements = max(self.elements, t.untyped_storage().nbytes() // t.itemsize)
        return out


@pytest.mark.parametrize("relative", ["true", "false"])
def test_no_tensor_has_all_pairs(relative: str) -> None:
    """Neither forward nor backward, in training; on small grids the logits are smaller than what a tile takes."""
    module, pairs = layer(32, 32, relative=relative), 2 * 8 * 32**4
    x = images(module, 32, 32, 2)
    with Largest() as seen:
        gradients(module(x), module, x)
    assert 0 < seen.elements <= pairs / 8
    with Largest() as seen:
        oracle(module, x)
    assert seen.elements >= pairs


@pytest.mark.parametrize("name", ["chosen", "rebuilt"])
def test_backward_keeps_inputs_alone(name: str) -> None:
    module = layer(16, 16)
    x = images(module, 16, 16)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):  # type: ignore[func-returns-value]
        out = module(x) if name == "chosen" else form(module, name, x)
    assert {t.untyped_storage().data_ptr() for t in kept if t.numel() >= out.numel()} == {
        x.untyped_storage().data_ptr()
    }


def test_small_grids_are_naive_and_nothing_is_kept_without_gradients() -> None:
    small, large = layer(8, 8), layer(9, 8)
    assert "Tiled" not in small(images(small, 8, 8)).grad_fn.name()
    assert "Tiled" in large(images(large, 9, 8)).grad_fn.name()
    with torch.no_grad():
        assert large(images(large, 9, 8)).grad_fn is None


# --- the ways of using a layer -----------------------------------------------------------------------------


def test_what_a_layer_holds_is_its_tables() -> None:
    assert {k: tuple(t.shape) for k, t in layer(9, 8).state_dict().items()} == {"rel_h": (17, 2), "rel_w": (15, 2)}
    per_head = layer(9, 8, relative='"per_head"').state_dict()
    assert {k: tuple(t.shape) for k, t in per_head.items()} == {"rel_h": (8, 17, 2), "rel_w": (8, 15, 2)}
    assert not layer(9, 8, relative="false").state_dict()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("relative", ["true", "false"])
def test_half_precision(dtype: torch.dtype, relative: str) -> None:
    """Within the rounding of its inputs and outputs, under autocast and converted as a whole."""
    module = layer(9, 8, relative=relative)
    x = images(module, 9, 8)
    wanted = [oracle(module, x), *gradients(oracle(module, x), module, x)]
    half = x.detach().to(dtype).requires_grad_()
    single, converted = copy.deepcopy(module).float(), copy.deepcopy(module).to(dtype)
    with torch.autocast("cpu", dtype):
        mixed = single(half)
    for found, inside in ((mixed, single), (converted(half), converted)):
        assert found.dtype == dtype
        same([found, *gradients(found, inside, half)], wanted, 8 * torch.finfo(dtype).eps)


def test_channels_last() -> None:
    module = layer(9, 8)
    x = images(module, 9, 8)
    last = x.detach().to(memory_format=torch.channels_last).requires_grad_()
    same(gradients(module(last), module, last), gradients(module(x), module, x), 1e-14)


@pytest.mark.more
@pytest.mark.parametrize("backend", ["aot_eager", *(["inductor"] if HEAVY else [])])
def test_compiles_into_one_graph(backend: str) -> None:
    module = layer(9, 8)
    x = images(module, 9, 8)
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend=backend)
    for batch in (x, torch.cat((x, x))):
        out = compiled(batch)
        same([out], [oracle(module, batch)], 1e-12)
        same(gradients(out, module, batch), gradients(oracle(module, batch), module, batch), 1e-11)


@pytest.mark.parametrize("relative", ["true", '"per_head"', "false"])
def test_exports_with_any_batch(relative: str) -> None:
    module = layer(9, 8, relative=relative)
    x = images(module, 9, 8).detach()
    other = images(module, 9, 8, 5)
    exported = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer is deprecated, but still used
        traced = torch.jit.trace(module, x)
    for program in (exported, traced):
        same([program(other)], [oracle(module, other)], 1e-12)


def test_a_second_derivative_is_refused() -> None:
    module = layer(9, 8)
    x = images(module, 9, 8)
    (first,) = torch.autograd.grad(module(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        first.sum().backward()


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_trains_in_distributed_data_parallel(one_process: None) -> None:
    module = layer(9, 8)
    x = images(module, 9, 8)
    wanted = gradients(oracle(module, x).square(), module, x)
    parallel: Callable[[Tensor], Tensor] = DistributedDataParallel(module)
    out = parallel(x).square()
    out.backward(torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape))
    same([x.grad, module.rel_h.grad, module.rel_w.grad], wanted, 1e-11)
