"""Networks of the zoo against independent code, in float64: `python benchmarks/unseen.py [NETWORK ...]`.

Needs `pip install --no-deps pytorchcv timm`, and what timm imports (torchvision, huggingface_hub, safetensors). Each
network gets pytorchcv's or timm's weights and gives their logits. They are those whose layers run in an order of their
own; `equality.py` has those whose layers match one by one.

Our layers are taken in the order of the spec, theirs in the order in which they run (a shortcut before its unit or
after it) or are registered: each of ours gets the weights of the first of theirs that has the same shapes and was not
taken. A wrong match shows in the logits.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module

import torch
from measure import ROOT, hardware, report
from torch import nn

import archdsl
from archdsl.api import elaborated

TOLERANCE = 1e-10  # of the logits' standard deviation
SHORTCUT = "identity_conv."  # pytorchcv's, which runs before the unit's other layers
NETWORKS = ROOT / "specs"

# By spec: whose network it is compared with, as a module and a function of it.
PAIRS: dict[str, tuple[str, str]] = {
    "hardnet68": ("pytorchcv.models.hardnet", "hardnet68"),
    "fractalnet20_cifar": ("pytorchcv.models.fractalnet_cifar", "fractalnet_cifar10"),
    "hrnet_w18_small": ("pytorchcv.models.hrnet", "hrnet_w18_small_v1"),
    "dla34": ("pytorchcv.models.dla", "dla34"),
    "vovnet39": ("pytorchcv.models.vovnet", "vovnet39"),
    "mixnet_s": ("pytorchcv.models.mixnet", "mixnet_s"),
    "ghostnet": ("pytorchcv.models.ghostnet", "ghostnet"),
    "mixer_s16": ("timm.models", "mixer_s16_224"),
    "sknet50": ("pytorchcv.models.sknet", "sknet50"),
    "peleenet": ("pytorchcv.models.peleenet", "peleenet"),
    "poolformer_s12": ("timm.models", "poolformer_s12"),
    "dpn68": ("pytorchcv.models.dpn", "dpn68"),
    "nasnet_a_mobile": ("pytorchcv.models.nasnet", "nasnet_4a1056"),
    "mobilenetv3_large": ("timm.models", "mobilenetv3_large_100"),
    "pvt_v2_b0": ("timm.models", "pvt_v2_b0"),
    "swin_t": ("timm.models", "swin_tiny_patch4_window7_224"),
    "fishnet99": ("pytorchcv.models.fishnet", "fishnet99"),
    "sparsenet121": ("pytorchcv.models.sparsenet", "sparsenet121"),
    "res2net50": ("timm.models", "res2net50_26w_4s"),
    **{f"efficientnet_b{i}": ("timm.models", f"efficientnet_b{i}") for i in range(8)},
    "convmixer_768_32": ("timm.models", "convmixer_768_32"),
    "xception": ("pytorchcv.models.xception", "xception"),
}


def owners(model: nn.Module) -> list[nn.Module]:
    """Its modules with weights of their own, in the order of registration."""
    return [m for m in model.modules() if any(True for _ in m.parameters(recurse=False))]


def run(model: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, list[nn.Module]]:
    """What a model gives, and its modules with weights of their own, in the order in which they run."""
    ran: dict[nn.Module, None] = {}
    for module in owners(model):
        module.register_forward_pre_hook(lambda m, _: ran.update({m: None}))
    return model(x), list(ran)


def shortcuts_last(model: nn.Module, layers: list[nn.Module]) -> list[nn.Module]:
    """Layers of a unit's shortcut after the other layers of the unit."""
    names = {module: name for name, module in model.named_modules()}
    moved = list(layers)
    for layer in layers:
        unit, shortcut, _ = names[layer].partition(SHORTCUT)
        if shortcut:
            moved.remove(layer)
            last = max(i for i, other in enumerate(moved) if names[other].startswith(unit))
            moved.insert(last + 1, layer)
    return moved


def weights(module: nn.Module) -> dict[str, torch.Tensor]:
    """A module's own weights and statistics that are numbers."""
    own = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    return {name: value for name, value in own if value.is_floating_point()}


def shapes(module: nn.Module) -> dict[str, list[int]]:
    """Without axes of size one: a 1x1 convolution may be a dense layer."""
    return {name: [n for n in value.shape if n > 1] for name, value in weights(module).items()}


def randomise(model: nn.Module) -> None:
    """Weights and statistics that let every layer matter; all that starts at 0 or 1 away from it."""
    torch.manual_seed(0)
    for module in model.modules():
        for name, value in weights(module).items():
            if name == "running_var" or (value == 1).all():
                nn.init.uniform_(value, 0.5, 1.0)
            elif value.dim() == 1 or (value == 0).all():
                nn.init.normal_(value, std=0.1)


def pair(ours: list[nn.Module], theirs: list[nn.Module]) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Every module of ours with the first of theirs that fits and is left."""
    left = list(theirs)
    for module in ours:
        match = next((m for m in left if sorted(shapes(m).values()) == sorted(shapes(module).values())), None)
        if match is None:
            raise SystemExit(f"{module} has no counterpart: left are {left[:3]}")
        left.remove(match)
        yield module, match
    if left:
        raise SystemExit(f"without counterpart: {left}")


def transfer(source: nn.Module, target: nn.Module) -> None:
    """Copy weights by name, or by shape where the names differ. Norms must agree in eps as well."""
    if getattr(source, "eps", None) != getattr(target, "eps", None):
        raise SystemExit(f"{source} has another eps than {target}")
    found, wanted = weights(source), weights(target)
    if shapes(source) != shapes(target):
        by_size = sorted(found.values(), key=lambda w: w.numel())
        found = dict(zip(sorted(wanted, key=lambda name: wanted[name].numel()), by_size, strict=True))
    for name, value in wanted.items():
        value.copy_(found[name].reshape(value.shape))


@torch.no_grad()
def compare(name: str) -> str:
    """A line of the table: largest difference of logits, their spread, and the one by the other."""
    module, function = PAIRS[name]
    theirs = getattr(import_module(module), function)().double().eval()
    spec = str(NETWORKS / f"{name}.arch")
    ours = archdsl.load(spec).double().eval()
    randomise(theirs)
    x = torch.randn(2, *elaborated(spec)[0].entries[0].types[0].sizes).double()
    expected, ran = run(theirs, x)
    count, spread = sum(p.numel() for p in theirs.parameters()), expected.std()
    for layers in (ran, shortcuts_last(theirs, ran), owners(theirs)):
        for target, source in pair(owners(ours), layers):
            transfer(source, target)
        worst = (expected - ours(x).reshape(expected.shape)).abs().max()
        if worst < TOLERANCE * spread:
            break
    else:
        raise SystemExit(f"{name}: logits differ by {worst:.3g}, their standard deviation is {spread:.3g}")
    whose = f"{module.split('.')[0]} {function}"
    return f"| {name} | {whose} | {count:,} | {worst:.2g} | {spread:.2g} | {worst / spread:.1g} |"


def main() -> None:
    names = sys.argv[1:] or list(PAIRS)
    rows = []
    for name in names:
        rows.append(compare(name))
        print(rows[-1], file=sys.stderr)
    if names != list(PAIRS):
        return
    report(
        "unseen",
        [
            "# The zoo in float64: the same logits",
            "",
            hardware(["torch", "pytorchcv", "timm"]),
            "",
            "| network | theirs | parameters | largest difference of logits | their standard deviation | ratio |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            "Their weights, matched in the order of layers; float64, evaluation mode, 2 images of the",
            "network's size. Norms agree in eps.",
        ],
    )


if __name__ == "__main__":
    main()
