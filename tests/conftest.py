"""Fixtures and options that all tests share."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path

import hypothesis
import pytest

from archdsl.cli import main

hypothesis.settings.load_profile("ci")  # the same examples every time, however busy the machine is
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background begins with it ignored
os.environ.pop("COLUMNS", None)  # what is printed here is as wide as it needs to be
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests themselves run side by side


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files that differ, and fail once")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.more)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, Path], None]:
    """Compare text with a file; `--update-golden` writes it and fails once, so a human looks."""
    update = request.config.getoption("--update-golden")

    def check(actual: str, path: Path) -> None:
        expected = path.read_text(encoding="utf-8") if path.exists() else None
        if update and actual != expected:
            path.write_text(actual, encoding="utf-8")
            pytest.fail(f"wrote {path.name}: read it, then run again")
        if expected is None:
            pytest.fail(f"no golden {path}; run with --update-golden")
        assert actual == expected

    return check


@dataclass(frozen=True)
class Ended:
    """What a command left behind: its exit code and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Run `archdsl ARGS…` in this process; `stdin` is what it may read, `terminal` whether a person seems to look."""

    def command(*args: object, stdin: str | bytes = "", terminal: bool = False) -> Ended:
        out, err = (TextIOWrapper(BytesIO(), encoding="utf-8", newline="") for _ in range(2))
        out.isatty = err.isatty = lambda: terminal  # type: ignore[method-assign]
        data = stdin.encode() if isinstance(stdin, str) else stdin
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", out)
            patch.setattr("sys.stderr", err)
            patch.setattr("sys.stdin", TextIOWrapper(BytesIO(data), encoding="utf-8"))
            with pytest.raises(SystemExit) as end:
                main([str(arg) for arg in args])
        for stream in (out, err):
            stream.flush()
        return Ended(int(end.value.code or 0), out.buffer.getvalue().decode(), err.buffer.getvalue().decode())

    return command
