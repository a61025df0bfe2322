"""Recipes: which lines there are, what may stand in each, and what is wrong with one.

A recipe is read as text alone: nothing flows through it. `LINES` is the whole vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from archdsl.diagnostics import Diagnostic, Error, Label, nearest
from archdsl.errors.models import Misplaced, UnknownLine
from archdsl.errors.names import Duplicate, TooManyArguments, UnknownArgument, UnknownName
from archdsl.errors.values import BadCall, OutOfRange
from archdsl.source import Span
from archdsl.syntax import ast

__all__ = ["LINES", "check_recipe"]

Words = Mapping[str, tuple[str, ...]]

# By line: its words, and the parameters of each in the order in which positionals fill them.
LINES: Mapping[str, Words] = {
    "data": {"cifar10": (), "cifar100": (), "imagenet": (), "digits": (), "synthetic": (), "folder": ("path",)},
    "augment": {
        "pad_crop": ("pixels", "mode"), "hflip": ("p",), "rotate": ("degrees",), "shift": ("fraction",),
        "random_erasing": ("p", "area", "aspect"), "mixup": ("alpha",), "cutmix": ("alpha",),
        "resized_crop": ("area", "aspect"), "color_jitter": ("brightness", "contrast", "saturation", "hue"),
        "standardize": ("by",), "label_noise": ("p",), "subset": ("per_class",),
    },
    "optimizer": {
        "sgd": ("lr", "momentum", "nesterov", "weight_decay"),
        "adam": ("lr", "beta1", "beta2", "eps", "weight_decay"),
        "adamw": ("lr", "beta1", "beta2", "eps", "weight_decay"),
    },
    "schedule": {
        "constant": (), "step_decay": ("at", "factor"), "plateau": ("factor", "patience"),
        "cosine": ("warmup", "final"),
    },
    "loss": {"cross_entropy": ("smoothing",)},
    "budget": {"steps": ("n",), "epochs": ("n",)},
    "batch": {},
    "average": {"ema": ("decay",)},
    "stop": {"early": ("patience",)},
}  # fmt: skip
_COUNTERS = {"schedule": {"steps": ("n",), "epochs": ("n",)}}  # words for the arguments of a line's words
_CLIPPING = {"optimizer": {"clip": ("norm",)}}  # what may follow a line's word: `sgd(lr=0.1) -> clip(1)`


def check_recipe(node: ast.Block) -> list[Diagnostic]:
    """Everything that is wrong with a recipe."""
    return _Checker(node).found


class _Checker:
    """Walks one recipe."""

    def __init__(self, node: ast.Block) -> None:
        self.found: list[Diagnostic] = []
        self._params = {p.name for p in node.params}
        lines: dict[str, Span] = {}
        for statement in node.body:
            if not isinstance(statement, ast.Stage):
                hint = "a recipe is made of lines such as `optimizer: sgd(lr=0.1)`"
                self._report(Misplaced("this line", "recipe", hint), statement.span)
                continue
            label = statement.label
            if label.name not in LINES:
                hint = nearest(label.name, LINES) or "it knows " + ", ".join(f"`{w}`" for w in LINES)
                self._report(UnknownLine(label.name, hint), label.span)
            elif label.name in lines:
                self._report(Duplicate(label.name), label.span, [Label(lines[label.name], "the first one")])
            else:
                self._line(label.name, statement.value)
            lines.setdefault(label.name, label.span)

    def _report(self, error: Error, span: Span, labels: Iterable[Label] = ()) -> None:
        self.found.append(error.at(span, labels))

    def _line(self, line: str, value: ast.Expr) -> None:
        if line == "batch":
            self._batch(value)
            return
        items = value.items if isinstance(value, ast.Flow) else (value,)
        words: Words = LINES[line]
        for i, item in enumerate(items):
            if i and line != "augment":
                words = _CLIPPING.get(line, {})
            self._word(line, words, item)

    def _batch(self, value: ast.Expr) -> None:
        """A whole number from 1, or a parameter."""
        if isinstance(value, ast.Number) and value.value == int(value.value) and value.value >= 1:
            return
        if isinstance(value, ast.Name) and value.name in self._params:
            return
        self._report(OutOfRange("the recipe", "batch", "a whole number from 1", f"`{value.span.text}`"), value.span)

    def _word(self, line: str, words: Words, item: ast.Expr) -> None:
        """`sgd(lr=0.1)` or `hflip`: a word of the line with its arguments."""
        func = item.func if isinstance(item, ast.Call) else item
        if not isinstance(func, ast.Name):
            hint = f"`{line}` takes " + (", ".join(f"`{w}`" for w in words) or "one word")
            self._report(BadCall(f"`{item.span.text[:40]}` is no word of `{line}`", hint), item.span)
            return
        if func.name not in words:
            hint = nearest(func.name, words) or f"`{line}` takes " + (", ".join(f"`{w}`" for w in words) or "one word")
            self._report(UnknownName(func.name, hint), func.span)
            return
        if isinstance(item, ast.Call):
            self._arguments(line, func.name, words[func.name], item.args)

    def _arguments(self, line: str, word: str, known: tuple[str, ...], args: tuple[ast.Arg, ...]) -> None:
        for position, arg in enumerate(args):
            if arg.name is None and position >= len(known):
                self._report(TooManyArguments.of(word, known), arg.span)
                return
            if arg.name is not None and arg.name not in known:
                self._report(UnknownArgument.of(word, arg.name, known), arg.name_span or arg.span)
            self._value(line, arg.value)

    def _value(self, line: str, value: ast.Expr) -> None:
        """An argument: numbers, texts, lists, parameters, and counts such as `epochs(5)`."""
        counters = _COUNTERS.get(line, {})
        if isinstance(value, ast.Call):
            self._word(line, counters, value)
            return
        for name in _names(value):
            if name.name not in self._params:
                self._report(UnknownName(name.name, nearest(name.name, self._params)), name.span)


def _names(value: ast.Expr) -> Iterator[ast.Name]:
    """Every name in an expression."""
    if isinstance(value, ast.Name):
        yield value
    for part in ast.parts(value):
        yield from _names(part)
