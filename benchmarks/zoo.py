"""The zoo against independent code: `python benchmarks/zoo.py`. Needs `pip install --no-deps pytorchcv`.

Parameters of pytorchcv's networks are counted on its own modules and multiply-adds by PyTorch's own counter of
operations; the networks are built on torch's meta device and run once: no weights are allocated. timm and
torchvision are counted too, where they are installed.

Lines are those of code: no blank lines, comments or docstrings. They are counted twice: what describes the network
(the spec; the classes and functions of pytorchcv's module that this network needs, none of its other variants or
tests), and all that it stands on (the library's blocks; what pytorchcv's module imports from other modules of it).
Generated source, which imports its framework alone, is counted beside both.
"""

import ast
import importlib.util
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from statistics import median
from types import ModuleType

import torch
from measure import ROOT, hardware, report
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from archdsl import api
from archdsl.graph.cost import cost
from archdsl.graph.elaborate import elaborate, load
from archdsl.graph.graph import Graph, bodies
from archdsl.language.resources import read_source

# By spec: pytorchcv's module and function, and our settings where its network has another reading.
PAIRS: dict[str, tuple[str, str, dict[str, str]]] = {
    "attention56": ("resattnet", "resattnet56", {}),
    "attention92": ("resattnet", "resattnet92", {}),
    "attention128": ("resattnet", "resattnet128", {}),
    "attention164": ("resattnet", "resattnet164", {}),
    "attention236": ("resattnet", "resattnet236", {}),
    "attention452": ("resattnet", "resattnet452", {"after": "1"}),
    "resnet34": ("resnet", "resnet34", {}),
    "resnet50": ("resnet", "resnet50b", {}),
    "resnet101": ("resnet", "resnet101b", {}),
    "resnet152": ("resnet", "resnet152b", {}),
    "preresnet164_cifar": ("preresnet_cifar", "preresnet164bn_cifar10", {}),
    "preresnet1001_cifar": ("preresnet_cifar", "preresnet1001_cifar10", {}),
    "preresnet200": ("preresnet", "preresnet200b", {}),
    "wrn16_8": ("wrn_cifar", "get_wrn_cifar", {}),
    "wrn28_10": ("wrn_cifar", "wrn28_10_cifar10", {}),
    "resnext101_32x4d": ("resnext", "resnext101_32x4d", {}),
    "se_resnet34": ("seresnet", "seresnet34", {}),
    "se_resnet50": ("seresnet", "seresnet50b", {}),
    "se_resnet101": ("seresnet", "seresnet101b", {}),
    "se_resnet152": ("seresnet", "seresnet152b", {}),
    "inception_resnet_v1": ("inceptionresnetv1", "inceptionresnetv1", {}),
    "inception_resnet_v2": ("inceptionresnetv2", "inceptionresnetv2", {}),
    "vgg16": ("vgg", "vgg16", {}),
    "densenet_bc100_12_cifar": ("densenet_cifar", "densenet100_k12_bc_cifar10", {}),
    "mobilenetv2": ("mobilenetv2", "mobilenetv2b_w1", {"bias": "false"}),
    "shufflenet": ("shufflenet", "shufflenet_g3_w1", {}),
    "squeezenet": ("squeezenet", "squeezenet_v1_0", {}),
    "pyramidnet110_a84_cifar": ("pyramidnet_cifar", "pyramidnet110_a84_cifar10", {}),
    "cbam_resnet50": ("cbamresnet", "cbam_resnet50", {}),
}

# Arguments of pytorchcv's function, where the network has no function of its own.
OPTIONS: dict[str, dict[str, int]] = {"wrn16_8": {"num_classes": 10, "blocks": 16, "width_factor": 8}}

# Second implementations: by spec, the module and function.
OTHERS: dict[str, tuple[str, str]] = {
    "resnet34": ("torchvision.models", "resnet34"),
    "resnet50": ("torchvision.models", "resnet50"),
    "resnet101": ("torchvision.models", "resnet101"),
    "resnet152": ("torchvision.models", "resnet152"),
    "resnext101_32x4d": ("timm.models", "resnext101_32x4d"),
    "se_resnet50": ("timm.models", "seresnet50"),
    "se_resnet101": ("timm.models", "seresnet101"),
    "se_resnet152": ("timm.models", "seresnet152"),
    "inception_resnet_v2": ("timm.models", "inception_resnet_v2"),
    "vgg16": ("torchvision.models", "vgg16"),
    "mobilenetv2": ("torchvision.models", "mobilenet_v2"),
    "squeezenet": ("torchvision.models", "squeezenet1_0"),
    "convnext_t": ("torchvision.models", "convnext_tiny"),
    "vit_ti16": ("timm.models", "vit_tiny_patch16_224"),
}
TOLERANCE = 0.005  # of multiply-adds
BACKENDS = ("torch", "keras")


@dataclass(frozen=True)
class Count:
    """What a network costs, the lines that say so, and the lines with all that they stand on."""

    params: int
    macs: int
    lines: int = 0
    all_lines: int = 0


def ours(name: str, settings: dict[str, str]) -> tuple[Count, tuple[int, ...]]:
    """Of a spec under settings, and the sizes of its input."""
    source = read_source(ROOT / "specs" / f"{name}.arch")
    graph = elaborate(load(source), name, settings, None).graph
    if graph is None:
        raise SystemExit(f"{name}: does not check")
    found, lines = cost(graph), code_lines(source.text)
    count = Count(found.params, found.macs, lines, lines + library_lines(graph))
    return count, tuple(int(n) for n in graph.entries[0].types[0].sizes)


def code_lines(text: str) -> int:
    """Lines of a spec that are neither blank nor comment."""
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in text.splitlines())


def library_lines(graph: Graph) -> int:
    """Lines of the library's blocks that a graph is made of, each block once."""
    blocks = {(b.span.source.name, b.block): b.span.text for b in bodies(graph) if b.kind == "block"}
    return sum(code_lines(text) for (home, _), text in blocks.items() if home.startswith("std."))


def reference(name: str) -> nn.Module:
    """pytorchcv's network for a spec of ours."""
    module, function, _ = PAIRS[name]
    net: nn.Module = getattr(pytorchcv(module), function)(**OPTIONS.get(name, {}))
    return net


def pytorchcv(module: str) -> ModuleType:
    return importlib.import_module(f"pytorchcv.models.{module}")


def measured(net: nn.Module, size: tuple[int, ...]) -> Count:
    """Of a network on the meta device: every product counts, biases do not."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(torch.empty(1, *size, device="meta"))
    return Count(sum(p.numel() for p in net.parameters()), counter.get_total_flops() // 2)


# --- lines of Python ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Text:
    """A module: its lines of code, what it defines by name, and what it imports, as (module, name)."""

    code: frozenset[int]
    named: dict[str, ast.stmt]
    imports: tuple[ast.stmt, ...]
    imported: dict[str, tuple[str, str]]


@cache
def parsed(module: str) -> Text:
    home = importlib.import_module(module)
    source = inspect.getsource(home)
    tree = ast.parse(source)
    within = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.level]
    return Text(
        code=lines_of(source, tree),
        named={node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)},
        imports=tuple(node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)),
        imported={
            alias.name: (
                importlib.util.resolve_name("." * node.level + (node.module or ""), home.__package__),
                alias.name,
            )
            for node in within
            for alias in node.names
        },
    )


def lines_of(source: str, tree: ast.Module) -> frozenset[int]:
    """Which lines of a module are code."""
    docs = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None
        for line in span(node.body[0])
    }
    code = {n for n, line in enumerate(source.splitlines(), 1) if line.strip() and not line.lstrip().startswith("#")}
    return frozenset(code - docs)


def span(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def needed(module: str, function: str, *, abroad: bool) -> Iterator[tuple[str, str]]:
    """A function, and the classes and functions that it stands on, in its module or also `abroad`."""
    wanted = [(module, function)]
    for home, name in wanted:  # grows while it is read
        text = parsed(home)
        yield home, name
        used = {n.id for n in ast.walk(text.named[name]) if isinstance(n, ast.Name)}
        found = [(home, n) for n in sorted(used & text.named.keys())]
        if abroad:
            found += [text.imported[n] for n in sorted(used & text.imported.keys())]
        wanted += [pair for pair in found if pair not in wanted and pair[1] in parsed(pair[0]).named]


def python_lines(definitions: Iterable[tuple[str, str]]) -> int:
    """Lines of code of these definitions and of the imports of their modules."""
    kept: dict[str, set[int]] = {}
    for module, name in definitions:
        text = parsed(module)
        lines = kept.setdefault(module, {line for node in text.imports for line in span(node)})
        lines.update(span(text.named[name]))
    return sum(len(lines & parsed(module).code) for module, lines in kept.items())


# --- tables ------------------------------------------------------------------------------------


def same(name: str, a: Count, b: Count, whose: str) -> None:
    """Stops where the networks differ."""
    if a.params != b.params or abs(a.macs / b.macs - 1) > TOLERANCE:
        raise SystemExit(f"{name}: {a.params:,} parameters, {a.macs:,} MACs; {whose}: {b.params:,}, {b.macs:,}")


def compare(name: str) -> tuple[str, float, float]:
    """A line of the table, and how many lines of Python stand for one of ours: of the spec, and of everything."""
    _, function, settings = PAIRS[name]
    a, size = ours(name, settings)
    with torch.device("meta"):
        b = measured(reference(name), size)
    same(name, a, b, function)
    lines, all_lines = reference_lines(name)
    shown = ", ".join([name, *(f"{key}={value}" for key, value in settings.items())])
    ratio, all_ratio = lines / a.lines, all_lines / a.all_lines
    return (
        f"| {shown} | {function} | {a.params:,} | {b.params:,} | {a.macs:,} | {b.macs:,} "
        f"| {a.lines} | {lines} | {ratio:.1f} | {a.all_lines} | {all_lines} | {all_ratio:.1f} |",
        ratio,
        all_ratio,
    )


def reference_lines(name: str) -> tuple[int, int]:
    """Lines of pytorchcv's network for a spec of ours: in its module, and with what that imports of pytorchcv."""
    module, function, _ = PAIRS[name]
    own, whole = (needed(f"pytorchcv.models.{module}", function, abroad=abroad) for abroad in (False, True))
    return python_lines(own), python_lines(whole)


def generated() -> Iterator[str]:
    """The table of generated source: its lines, and how many of them stand for one of pytorchcv's."""
    yield "| network | pytorchcv | with imports | " + " | ".join(f"{b} | ratio | ratio" for b in BACKENDS) + " |"
    yield "|---" * (3 + 3 * len(BACKENDS)) + "|"
    ratios: dict[str, list[tuple[float, float]]] = {backend: [] for backend in BACKENDS}
    for name, (_, _, settings) in PAIRS.items():
        lines, all_lines = reference_lines(name)
        row = f"| {name} | {lines} | {all_lines} |"
        for backend, found in ratios.items():
            text = api.compile(name, to=backend, settings=settings).text
            count = len(lines_of(text, ast.parse(text)))
            found.append((count / lines, count / all_lines))
            row += f" {count} | {count / lines:.2f} | {count / all_lines:.2f} |"
        yield row
    yield ""
    for backend, found in ratios.items():
        own, whole = zip(*found, strict=True)
        yield (
            f"{backend}: with imports median {median(whole):.2f}, at most {max(whole):.2f}; to pytorchcv's module alone"
            f" median {median(own):.2f}, at most {max(own):.2f}."
        )
        yield ""


def compare_others() -> list[str]:
    """The second table: what is installed of timm and torchvision."""
    rows = []
    for name, (module, function) in OTHERS.items():
        try:
            home = importlib.import_module(module)
        except ImportError:
            continue
        a, size = ours(name, {})
        with torch.device("meta"):
            b = measured(getattr(home, function)(), size)
        whose = f"{module.partition('.')[0]} {function}"
        same(name, a, b, whose)
        rows.append(f"| {name} | {whose} | {a.params:,} | {b.params:,} | {a.macs:,} | {b.macs:,} |")
    if not rows:
        return ["Neither timm nor torchvision was installed."]
    return ["| network | theirs | parameters | theirs | MACs | theirs |", "|---|---|---|---|---|---|", *rows]


def main() -> None:
    rows, ratios, all_ratios = zip(*map(compare, PAIRS), strict=True)
    report(
        "zoo",
        [
            "# The zoo against independent code",
            "",
            hardware(["torch", "pytorchcv", "timm", "torchvision"]),
            "",
            "| network | pytorchcv's | parameters | theirs | MACs | theirs "
            "| lines of spec | of Python | ratio | with blocks | with imports | ratio |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            f"Lines of Python to lines of spec: median {median(ratios):.1f}, {min(ratios):.1f} to {max(ratios):.1f}.",
            f"With all they stand on: median {median(all_ratios):.1f}, {min(all_ratios):.1f} to {max(all_ratios):.1f}.",
            "",
            "Lines are those that are neither blank nor comment nor docstring. Of Python, those of the classes and",
            "functions of pytorchcv's module that this network needs, and the module's imports: no tests, no other",
            "variants. `with blocks` adds the blocks of the library that the network is made of; `with imports` what",
            "the module takes from other modules of pytorchcv. Nothing of PyTorch and nothing of the compiler counts.",
            "",
            "## Generated source",
            "",
            "Lines of code of what `archdsl compile` writes: a whole file, with initialisation and every layer that",
            "the framework lacks, for Keras also with what saving and cutting it takes. The first ratio is to the",
            "lines of pytorchcv's module, which cannot do without those that it imports; the second is to both.",
            "",
            *generated(),
            "## Second implementations",
            "",
            *compare_others(),
        ],
    )


if __name__ == "__main__":
    main()
