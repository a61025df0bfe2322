"""DOT to a picture: which programs can, and what to say when none does."""

import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from archdsl.language.diagnostics import Error
from archdsl.language.errors.outputs import DrawingFailed, NoDrawingEngine

__all__ = ["FORMATS", "EngineError", "render"]

FORMATS: Final = ("svg", "dot", "png", "pdf")
_WHEEL_FORMATS: Final = frozenset({"svg", "png"})
_SECONDS: Final = 120
_DPI: Final = "-Gdpi=160"  # a page of points becomes a picture that is sharp on a screen


class EngineError(Exception):
    """A picture cannot be made; `error` says why."""

    def __init__(self, error: Error) -> None:
        super().__init__(error)
        self.error = error


def render(text: str, fmt: str) -> bytes:
    """DOT text as a picture in one of `FORMATS`. Raises EngineError, and ValueError for another format.

    The system's Graphviz draws where there is one, because it makes every format; else the engine of the
    `graphviz-pure` wheel, which is always installed and makes SVG and PNG.
    """
    if fmt not in FORMATS:
        raise ValueError(f"{fmt} is not one of {', '.join(FORMATS)}")
    if fmt == "dot":
        return text.encode()
    programs = [program for program in (shutil.which("dot"), _wheel() if fmt in _WHEEL_FORMATS else None) if program]
    if not programs:
        raise EngineError(NoDrawingEngine(fmt, _advice(fmt)))
    failures = []
    for program in programs:
        try:
            return _run(program, text, fmt)
        except (OSError, subprocess.SubprocessError) as problem:
            failures.append(_reason(problem))
    raise EngineError(DrawingFailed(fmt, failures[0]))


def _advice(fmt: str) -> str:
    system = "install Graphviz (`apt install graphviz`, `brew install graphviz`)"
    return f"{system} or `pip install graphviz-pure`" if fmt in _WHEEL_FORMATS else f"{system}, or draw an SVG"


def _wheel() -> str | None:
    """Where the program of the `graphviz-pure` wheel lies, on the search path or not."""
    try:
        files = distribution("graphviz-pure").files or []
    except PackageNotFoundError:
        return None
    found = (
        Path(str(file.locate())).resolve()
        for file in files
        if file.stem == "graphviz-pure" and not file.parent.name.endswith("info")
    )
    return next((str(path) for path in found if path.is_file()), None)


def _run(program: str, text: str, fmt: str) -> bytes:
    command = [program, f"-T{fmt}", *([_DPI] if fmt == "png" else [])]
    done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=_SECONDS, check=True)
    return done.stdout


def _reason(problem: OSError | subprocess.SubprocessError) -> str:
    if isinstance(problem, subprocess.TimeoutExpired):
        return f"the layout took longer than {_SECONDS} seconds"
    if isinstance(problem, subprocess.CalledProcessError):
        said = problem.stderr.decode(errors="replace").strip().splitlines()
        return f"the drawing engine said: {said[-1][:200]}" if said else "the drawing engine gave up without a word"
    return "the drawing engine could not be started"
