"""Every mistake of the catalogue has a page and a case: `errors/NAME.arch` and what archdsl says of it, `NAME.err`.

A case is checked with `archdsl check`. A first line `# args: …` gives flags, or a whole command with `$FILE` or `$DIR`
in it.
"""

import inspect
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archdsl.language.errors import catalogue, explain

HERE = Path(__file__).parent
CASES = sorted((HERE / "errors").glob("*.arch"))
# Mistakes that a spec cannot show, and the test that makes them.
ELSEWHERE = {
    "E0003": "syntax/test_parse.py",
    "E0602": "test_cli.py",
    "E0603": "test_cli.py",
    "E0604": "test_cli.py",
    "E0605": "test_cli.py",
    "E0608": "test_cli.py",
    "E0701": "test_codegen.py",
    "E0702": "test_codegen.py",
    "E0703": "test_backends.py",
    "E0704": "test_verify.py",
    "E0705": "test_verify.py",
    "W0108": "test_language.py",
    "E0741": "test_draw.py",
    "E0742": "test_draw.py",
    "E0743": "test_draw.py",
    **{code: "test_train.py" for code in catalogue() if code.startswith("E08")},
    **{
        code: "test_data.py"
        for code, error in catalogue().items()
        if error.__module__ == "archdsl.language.errors.data"
    },
    **dict.fromkeys(("E0850", "E0851", "E0852"), "test_masks.py"),
    "E0801": "test_bench.py",
    "E0837": "test_strangers.py",
    "E0838": "test_resume.py",
    "E0853": "test_runs.py",
    "E0854": "test_evaluate.py",
    **dict.fromkeys(("E0875", "E0876", "E0877"), "test_engine.py"),
    **{code: "test_weights.py" for code in catalogue() if code.startswith("E09")},
    **dict.fromkeys(("E0906", "E0907", "E0908"), "test_onnx.py"),
    **dict.fromkeys(("E1001", "E1002", "E1003"), "test_lift.py"),
}
PYTHON = re.compile(r"Traceback|<class |<archdsl|\bNoneType\b|\bobject at 0x|\bDim\(|\bFraction\(|\bSpan\(")


def command(case: Path) -> list[str]:
    first = case.read_text(encoding="utf-8").partition("\n")[0]
    args = shlex.split(first.removeprefix("# args:")) if first.startswith("# args:") else []
    if not any("$" in arg for arg in args):
        args = ["check", "$FILE", *args]
    return [arg.replace("$FILE", str(case)).replace("$DIR", str(case.parent)) for arg in args]


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.stem)
def test_what_is_said(case: Path, run: Callable[..., Any], golden: Callable[[str, Path], None]) -> None:
    ended = run(*command(case))
    said = ended.err.replace(str(case), "$FILE").replace(str(case.parent), "$DIR")
    assert ended.code in (1, 2) or "warning" in said
    assert not PYTHON.search(said)
    golden(said, case.with_suffix(".err"))


@pytest.mark.parametrize("code", catalogue())
def test_every_mistake_has_a_page_and_a_case(code: str) -> None:
    error = catalogue()[code]
    page = explain(code)
    assert page and inspect.getdoc(error) and "__init__" not in page
    shown = [case for case in CASES if f"[{code}]" in _text(case.with_suffix(".err"))]
    assert shown or code in _text(HERE / ELSEWHERE.get(code, "nowhere")), (
        f"{error.__name__} has no case in tests/errors"
    )


def test_numbers_follow_the_themes() -> None:
    first = {"syntax": 0, "names": 1, "shapes": 2, "values": 3, "limits": 4, "models": 5, "files": 6}
    first |= {"outputs": 7, "training": 8, "data": 8, "evaluation": 8, "recipes": 8, "weights": 9, "lifting": 10}
    for code, error in catalogue().items():
        theme = error.__module__.rpartition(".")[2]
        assert code[:3] == ("W01" if theme == "warnings" else f"E{first[theme]:02}"), f"{error.__name__} is {code}"
        assert error.severity == ("warning" if theme == "warnings" else "error")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
