"""Every code fence of the documentation is executed, and the reference of ops is the registry's.

The word after the three backticks says how: `arch` is checked and must have no finding, `arch E0203` must
have exactly that finding, `sh` runs its `archdsl` commands, `python` runs, `python alone NAME` is a program that
does not know archdsl (tests/test_weights.py runs it), `text` is only shown. An arch fence without a declaration is
wrapped: as the body of a block where it binds `out`, else as a model's on [64, 32, 32].
"""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import indent

import pytest
from test_layers import WINGS

from archdsl.api import check
from archdsl.graph.elaborate.body import BUDGETS, PER_TOKEN
from archdsl.graph.elaborate.program import MAX_FILES
from archdsl.graph.elaborate.recipes import LABELS, OPTIONAL, SHORT
from archdsl.language.recipe import LINES, Recipe
from archdsl.language.resources import recipe_names, recipe_source
from archdsl.language.schema import Parameter, bounds, parameters, wanted, written
from archdsl.language.source import Source
from archdsl.language.syntax.lexer import MAX_TOKENS
from archdsl.show.ops import signature, themes
from archdsl.train.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *(p for p in (ROOT / "README.md", ROOT / "CONTRIBUTING.md") if p.exists())])
FENCE = re.compile(r"^```(\w*) ?([^\n]*)\n(.*?)^```$", re.M | re.S)
KINDS = {"arch", "sh", "python", "text"}
SLOW = tuple(f"archdsl {c}" for c in ("train", "eval", "predict", "masks", "runs", "bench"))  # or in need of a run


def fences(kinds: set[str]) -> Sequence[object]:
    """(how, text) of the fences of these kinds, named by page and line."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            if match[1] in kinds:
                line = text.count("\n", 0, match.start()) + 1
                found.append(pytest.param(match[2].strip(), match[3], id=f"{page.relative_to(ROOT)}:{line}"))
    return found


def whole(text: str) -> str:
    """A fragment made a spec."""
    if re.search(r"^(block|model|recipe)\b", text, re.M):
        return text
    body = indent(text, "  ")
    if re.search(r"^out\b", text, re.M):
        block = f"block sample(c=64, stride=1, depth=1) {{\n{body}}}\n"
        return f"{block}model page {{\n  input [64, 32, 32]\n  body: sample\n}}\n"
    return f"model page(c=64, stride=1, depth=1) {{\n  input [64, 32, 32]\n{body}}}\n"


def test_fences_say_what_they_are() -> None:
    untold = [
        f"{page.name}: ```{match[1]}"
        for page in PAGES
        for match in FENCE.finditer(page.read_text(encoding="utf-8"))
        if match[1] not in KINDS
    ]
    assert untold == []


@pytest.mark.parametrize(("how", "text"), fences({"arch"}))
def test_arch(how: str, text: str) -> None:
    found = check(Source("page.arch", whole(text)))
    assert sorted({d.code for d in found}) == how.split(), [str(d) for d in found]


@pytest.mark.parametrize(("how", "text"), fences({"sh"}))
def test_sh(how: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "attention56.arch").write_text((ROOT / "examples" / "own_block.arch").read_text(encoding="utf-8"))
    for line in text.splitlines():
        command = line.split(" #")[0].strip().removeprefix("$ ")
        if command.startswith("archdsl ") and not command.startswith(SLOW):
            run = command.replace("archdsl", f"{sys.executable} -m archdsl", 1)
            done = subprocess.run(run, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=120)
            assert done.returncode == int(how or 0), f"{command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize(("how", "text"), fences({"python"}))
def test_python(how: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if how.startswith("alone "):
        return
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "attention56.arch").write_text((ROOT / "examples" / "own_block.arch").read_text(encoding="utf-8"))
    exec(compile(text, "page.py", "exec"), {"__name__": "page"})


def test_budgets_are_stated() -> None:
    page = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    rows = [f"| {what} | {limit:,} | {f'{PER_TOKEN[what]} a token ' if what in PER_TOKEN else ''}|\n"
            for what, limit in {"tokens": MAX_TOKENS, "files": MAX_FILES, **BUDGETS}.items()]  # fmt: skip
    assert [row for row in rows if row not in page] == []


TABLE = re.compile(r"(?<=<!-- )(wings|files: \S+|backends)( -->\n)(?:\|[^\n]*\n)*")


def test_where_things_are(golden: Callable[[str, Path], None]) -> None:
    """The tables of docs/architecture.md are made of the first lines of the files."""
    page = ROOT / "docs" / "architecture.md"
    golden(TABLE.sub(lambda m: f"{m[1]}{m[2]}{files_table(m[1])}", page.read_text("utf-8")), page)


def files_table(asked: str) -> str:
    if asked == "wings":
        rows = [(f"`{wing}/`", purpose(ROOT / "archdsl" / wing / "__init__.py")) for wing in wings()]
        return table("wing", "what it is for", rows)
    if asked == "backends":
        torch, keras = (ROOT / "backends" / f"archdsl_{name}" for name in ("torch", "keras"))
        names = sorted({f.name for folder in (torch, keras) for f in folder.glob("*.py")} - {"__init__.py"})
        both = [(n, [f / n for f in (torch, keras) if (f / n).exists()]) for n in names]
        rows = [(f"`{n}`", " ".join(f"{f.parent.name}: {purpose(f)}" for f in found)) for n, found in both]
        return table("file", "what it is for", rows)
    folder = ROOT / asked.removeprefix("files: ")
    rows = []
    for file in sorted(folder.rglob("*.py"), key=lambda f: (len(f.relative_to(folder).parts) > 1, str(f))):
        inside = file.relative_to(folder)
        themes = inside.parts[0] in ("errors", "ops") and len(inside.parts) > 1
        if inside.name == "__init__.py":
            rows += [(f"`{inside.parent}/`", purpose(file))] if len(inside.parts) > 1 else []
        elif not themes:
            rows.append((f"`{inside}`", purpose(file)))
    return table("file", "what it is for", rows)


def wings() -> list[str]:
    """From the ground up, `api.py` aside."""
    return [wing for floor in WINGS for wing in sorted(floor) if (ROOT / "archdsl" / wing).is_dir()]


def purpose(file: Path) -> str:
    """The first sentence of a file."""
    doc = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return doc.partition("\n")[0].replace("|", "\\|")


def table(first: str, second: str, rows: Sequence[tuple[str, str]]) -> str:
    return "".join(f"| {a} | {b} |\n" for a, b in [(first, second), ("---", "---"), *rows])


def test_reference_of_ops(golden: Callable[[str, Path], None]) -> None:
    golden(reference(), ROOT / "docs" / "ops.md")


def reference() -> str:
    """docs/ops.md: by theme, every op with its signature and its docstring."""
    parts = ["# Ops", "", "Every op, from the registry. [language.md](language.md) has the rules that they share.", ""]
    for theme, ops in themes().items():
        parts += ["## " + theme, ""]
        for op in ops:
            parts += [f"### `{signature(op)}`", "```text", inspect.getdoc(op) or "", "```", ""]
    return "\n".join(parts)


def test_reference_of_recipes(golden: Callable[[str, Path], None]) -> None:
    golden(recipe_reference(), ROOT / "docs" / "recipes.md")


def test_every_flag_of_training_is_in_its_page() -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    settings = [p.name.replace("_", "-") for p in parameters(Settings)]
    flags = [*LABELS, *SHORT, *settings, "recipe", "print-config", "amp"]
    assert [f for f in flags if f"`--{f}" not in page] == []


def recipe_reference() -> str:
    """docs/recipes.md: every line with its words, every word with its parameters, and the shipped recipes."""
    parts = ["# Recipes", "", RECIPES_INTRO, "", "| line | takes | left out |", "|---|---|---|"]
    parts += [f"| `{line}` | {takes(line)} | {left_out(line)} |" for line in LABELS]
    for line in LABELS:
        words = [*LINES[line].values(), *(LINES["clip"].values() if line == "optimizer" else ())]
        parts += ["", f"## `{line}`"] if words else []
        for word in words:
            parts += ["", f"### `{word.name}`", "```text", inspect.getdoc(word) or "", "```"]
            parts += [parameter_row(p) for p in parameters(word)]
    parts += ["", "## Shipped recipes"]
    for name in recipe_names():
        source = recipe_source(name)
        assert source is not None
        parts += ["", f"### `{name}`", "```arch", source.text.rstrip(), "```"]
    return "\n".join(parts) + "\n"


RECIPES_INTRO = """\
Every line and every word of a recipe, from the tables that check it. [training.md](training.md) says how a recipe is
chosen, and how its values are replaced; [data.md](data.md) and [augmentation.md](augmentation.md) say more of those.
Words are the same in both frameworks: a word is a distribution, not the numbers that are drawn."""


def takes(line: str) -> str:
    if line in ("batch", "budget"):
        return "a whole number" if line == "batch" else "`epochs(n)`, `steps(n)`, or a whole number of steps"
    words = ", ".join(f"`{w}`" for w in (*LINES[line], *(["none"] if line in OPTIONAL else [])))
    return words + {"augment": ": any number of them, joined by `->`", "optimizer": "; then `-> clip(norm)`"}.get(
        line, ""
    )


def left_out(line: str) -> str:
    value = Recipe().lines["loss"] if line == "loss" else getattr(Recipe(), line)
    if line == "schedule":
        return f"`{value}`: a warm-up over a tenth of the budget"
    return f"`{value}`" if value else "nothing" if line in OPTIONAL else "`--data` has to say it"


def parameter_row(p: Parameter) -> str:
    limits = "" if p.kind in ("bool", "text", "word") else f", {bounds(p)}"
    usual = "has to be given" if p.required else f"`{written(p.default)}` if not given"
    return f"- `{p.name}`: {wanted(p)}{limits}; {usual}"
