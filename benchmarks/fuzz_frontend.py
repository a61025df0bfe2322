"""The front end on hostile texts, guided by coverage: `make fuzz-front`, or `python benchmarks/fuzz_frontend.py`.

libFuzzer (by atheris) keeps the texts that reach something new in FOLDER/corpus and goes on from them; `Mutator`
changes them by the words of the language: tokens, lines, expressions, statements of other specs, stretches made long.
Each text is parsed and checked, and its messages are rendered; what can be read is formatted twice, the right shown.
Nothing may raise, take more than `SECONDS`, or make the process grow by more than `MEBIBYTES`: such texts are kept in
FOLDER/faults, one of each kind. FOLDER/state.json has the figures of all runs; a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from io import StringIO
from itertools import islice
from pathlib import Path
from random import Random
from time import process_time

import atheris
from measure import ROOT, hardware, report

with atheris.instrument_imports(include=["archdsl"]):
    from archdsl import api
    from archdsl.graph.cost import cost
    from archdsl.graph.elaborate import load
    from archdsl.language.diagnostics import render, to_json
    from archdsl.language.ops import OPS
    from archdsl.language.source import Source
    from archdsl.language.syntax.format import format_text
    from archdsl.show import summary

from rich.console import Console

SECONDS, MEBIBYTES = 2.0, 500  # that a text of 128 KiB may take
PATIENCE = 60  # seconds, until a text is given up
SAVED_EVERY = 2000
SEEDS = ("specs/*.arch", "examples/*.arch", "tests/errors/*.arch", "tests/cases/**/*.arch", "tests/syntax/**/*.arch",
         "archdsl/language/std/*.arch", "archdsl/recipes/*.arch")  # fmt: skip
WORDS = (
    *OPS, "in", "out", "if", "else", "for", "and", "or", "not", "true", "false", "use", "block", "model", "recipe",
    "input", "expect", "params", "macs", "memory(train)", "share", "range", "len", "sum", "min", "max", "in.c", "in.h",
    "std.ran", "->", "=", ":", ",", ";", "(", ")", "[", "]", "{", "}", "+", "-", "*", "/", "//", "%", "**", "==", "!=",
    "<", "<=", "0", "1", "2", "8", "-1", "0.5", "1e40", "64K", "2**62", "10**9", "range(9)", "[1, 2]", "[relu, bn]",
    '"c h w -> h w c"', "# note", "\n", "=>", "&&", "return", "True", "\u200b", "\u202e", "а", "“", "\x00", "\r", "\\",
    "@", "..", "1.2.3", "language 1.0",
)  # fmt: skip
TOKEN = re.compile(r"\w+(?:\.\w+)*|->|\*\*|//|[=!<>]=|\"[^\"\n]*\"?|\s+|.", re.DOTALL)


# --- texts -----------------------------------------------------------------------------------------


def seeds() -> list[str]:
    """The specs of the repository: what ships, what is wrong in one way each, what was found before."""
    paths = sorted(path for pattern in SEEDS for path in ROOT.glob(pattern))
    return [path.read_bytes().decode("utf-8", "surrogateescape") for path in paths]


@dataclass
class Mutator:
    """Changes a text in a few places. texts: whose statements and expressions are put into others."""

    texts: Sequence[str]

    def __post_init__(self) -> None:
        self.lines = [line for text in self.texts for line in text.splitlines() if line.strip()]

    def __call__(self, text: str, random: Random) -> str:
        for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
            text = random.choice(self.CHANGES)(self, text, random)
        return text

    def replace(self, text: str, random: Random) -> str:
        return self._at_a_token(text, random, lambda token: random.choice(WORDS))

    def insert(self, text: str, random: Random) -> str:
        return self._at_a_token(text, random, lambda token: f"{token} {random.choice(WORDS)} ")

    def delete(self, text: str, random: Random) -> str:
        tokens = TOKEN.findall(text)
        at = random.randrange(len(tokens) + 1)
        return "".join(tokens[:at] + tokens[at + random.choice((1, 1, 2, 8)) :])

    def swap(self, text: str, random: Random) -> str:
        tokens = TOKEN.findall(text) or [""]
        i, j = random.randrange(len(tokens)), random.randrange(len(tokens))
        tokens[i], tokens[j] = tokens[j], tokens[i]
        return "".join(tokens)

    def nest(self, text: str, random: Random) -> str:
        form = random.choice(("({})", "({} -> relu)", "({} if in.c == 8 else bn)", "[{}, {}]", "{} * 3", "share({})",
                              "-{}", "not {}", "({} + {})", "[{} for i in range(3)]", "({})[0]", "b({})"))  # fmt: skip
        return self._at_a_token(text, random, lambda token: form.replace("{}", token) if token.strip() else token)

    def line(self, text: str, random: Random) -> str:
        lines = text.split("\n")
        at = random.randrange(len(lines) + 1)
        return "\n".join([*lines[:at], random.choice(self.lines), *lines[at:]])

    def drop(self, text: str, random: Random) -> str:
        lines = text.split("\n")
        del lines[random.randrange(len(lines)) :][: random.choice((1, 2, 5))]
        return "\n".join(lines)

    def again(self, text: str, random: Random) -> str:
        """A stretch of it, over and over."""
        start = random.randrange(len(text) + 1)
        part = text[start : start + random.choice((1, 5, 30, 200))]
        times = min(random.choice((2, 3, 10, 100, 3000)), 20_000 // (len(part) + 1) + 1)
        return text[:start] + part * times + text[start:]

    def numbered(self, text: str, random: Random) -> str:
        """A line over and over, with its names and numbers counted up: `a1: conv(9, 3)`, `a2: conv(10, 3)`."""
        lines = text.split("\n")
        at = random.randrange(len(lines))
        name = random.choice(re.findall(r"\w+", lines[at]) or [""])
        copies = [lines[at].replace(name, f"{name}{i}") if name else "" for i in range(random.choice((2, 10, 60)))]
        return "\n".join(lines[:at] + copies + lines[at:])

    def join(self, text: str, random: Random) -> str:
        other = random.choice(self.texts)
        return f"{text[: random.randrange(len(text) + 1)]}\n{other[random.randrange(len(other) + 1) :]}"

    CHANGES: tuple[Callable[..., str], ...] = (
        replace, replace, insert, insert, delete, delete, swap, nest, nest, line, line, drop, again, numbered, join,
    )  # fmt: skip

    def _at_a_token(self, text: str, random: Random, change: Callable[[str], str]) -> str:
        tokens = TOKEN.findall(text) or [""]
        at = random.randrange(len(tokens))
        tokens[at] = change(tokens[at])
        return "".join(tokens)


# --- one text --------------------------------------------------------------------------------------


def examine(text: str) -> str:
    """All that the front end does with a text; `wrong`, `odd` or `right` is how it ended. It never raises."""
    source = Source("fuzz.arch", text)
    found = api.check(source)
    for diagnostic in found[:5]:
        assert "\x1b" not in render(diagnostic)
        json.dumps(to_json(diagnostic))
    if not any(d.code.startswith("E00") for d in found):
        once = format_text(source)
        assert format_text(Source("fuzz.arch", once)) == once, "the layout is not stable"
    if any(d.severity == "error" for d in found):
        return "wrong"
    for name in islice(load(source).models, 3):
        graph, _ = api.elaborated(source, name)
        costs, console = cost(graph), Console(file=StringIO(), width=80)
        console.print(summary.table(graph, costs))
        summary.expand(graph, costs)
    return "odd" if found else "right"


@dataclass
class State:
    """The figures of all runs of one folder.

    ends: how many texts ended how. slowest: seconds, of the text in slowest.arch. longest: characters of a text. peak:
    MiB of the process. kept: texts of the corpus. faults: how many texts have each kind.
    """

    texts: int = 0
    seconds: float = 0.0
    starts: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0
    longest: int = 0
    peak: int = 0
    kept: int = 0
    faults: dict[str, int] = field(default_factory=dict)


@dataclass
class Fuzzer:
    """Examines texts and keeps the figures. last: the text after which libFuzzer ends the process, without a word."""

    folder: Path
    state: State
    last: int

    def __call__(self, data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        start, before = process_time(), _peak()
        signal.setitimer(signal.ITIMER_PROF, PATIENCE)
        try:
            end = examine(text)
        except BaseException as error:  # whatever it is, it is our mistake
            end = self.fault(_kind(error), data, "".join(traceback.format_exception(error)))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        spent, grown = process_time() - start, _peak() - before
        if spent > SECONDS:
            end = self.fault(f"slow-{spent:.0f}s", data, f"{spent:.2f} s, {len(text)} characters")
        if grown > MEBIBYTES:
            end = self.fault("large", data, f"{grown} MiB more, {len(text)} characters")
        self.note(end, text, spent)

    def note(self, end: str, text: str, spent: float) -> None:
        state = self.state
        state.texts += 1
        state.seconds += spent
        state.ends[end] = state.ends.get(end, 0) + 1
        state.longest = max(state.longest, len(text))
        state.peak = max(state.peak, _peak())
        if spent > state.slowest:
            state.slowest = spent
            (self.folder / "slowest.arch").write_bytes(text.encode("utf-8", "surrogateescape"))
        if state.texts % SAVED_EVERY == 0 or state.texts == self.last:
            self.save()

    def fault(self, kind: str, data: bytes, said: str) -> str:
        if kind not in self.state.faults:
            (self.folder / "faults" / f"{kind}.arch").write_bytes(data)
            (self.folder / "faults" / f"{kind}.txt").write_text(said, errors="backslashreplace")
            print(f"\n{kind}\n{said}", file=sys.stderr)
        self.state.faults[kind] = self.state.faults.get(kind, 0) + 1
        return "fault"

    def save(self) -> None:
        self.state.kept = sum(1 for _ in (self.folder / "corpus").iterdir())
        (self.folder / "state.json").write_text(json.dumps(asdict(self.state), indent=2))


def _kind(error: BaseException) -> str:
    """The exception and the line of ours that raised it."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "archdsl" in f.filename] or ["?"]
    last = frames[-1]
    place = f"{Path(last.filename).stem}-{last.name}" if isinstance(last, traceback.FrameSummary) else "fuzz"
    return f"{type(error).__name__}-{place}".replace("<", "").replace(">", "")


def _peak() -> int:
    """Of the process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _give_up(*_: object) -> None:
    raise TimeoutError(f"more than {PATIENCE} seconds")


# --- a run -----------------------------------------------------------------------------------------


def run(folder: Path, count: int, longest: int, seed: int) -> None:
    """Examine `count` texts more, of at most so many bytes; libFuzzer ends the process."""
    for name in ("corpus", "faults"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    texts, file = seeds(), folder / "state.json"
    for text in texts:
        data = text.encode("utf-8", "surrogateescape")
        (folder / "corpus" / sha256(data).hexdigest()[:16]).write_bytes(data)
    state = State(**json.loads(file.read_text())) if file.exists() else State()
    state.starts += 1
    fuzzer, mutator = Fuzzer(folder, state, state.texts + count), Mutator(texts)

    def mutated(data: bytes, most: int, number: int) -> bytes:
        random = Random(number)
        if random.random() < 0.1:
            return bytes(atheris.Mutate(data, most))
        known = random.random() < 0.3  # most of what is kept is wrong in some way: these are right in all others
        text = mutator(random.choice(texts) if known else data.decode("utf-8", "surrogateescape"), random)
        return text.encode("utf-8", "surrogateescape")[:most]

    signal.signal(signal.SIGPROF, _give_up)
    limits = [f"-runs={count}", f"-seed={seed + state.starts}", f"-max_len={longest}"]
    given = [*limits, "-timeout=600", "-rss_limit_mb=4096", "-len_control=100", "-print_final_stats=1", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *given, str(folder / "corpus")], fuzzer, custom_mutator=mutated)
    atheris.Fuzz()


def written(folder: Path) -> list[str]:
    """The page of what the runs in a folder came to."""
    state = State(**json.loads((folder / "state.json").read_text()))
    faults = [
        f"- {kind}: {count:,} texts{', mended since' if _is_mended(folder / 'faults' / f'{kind}.arch') else ''}"
        for kind, count in state.faults.items()
    ]
    ends = ", ".join(f"{count:,} {end}" for end, count in sorted(state.ends.items()))
    return [
        "# Hostile texts",
        "",
        f"`make fuzz-front`. {hardware(['atheris', 'lark', 'networkx'])}",
        "",
        f"{state.texts:,} texts in {state.seconds / 60:.0f} minutes of the processor ({ends}), the longest of"
        f" {state.longest:,} characters; {state.kept:,} are kept for what they reach.",
        "",
        f"The slowest took {state.slowest:.2f} s, coverage counted; the process had at most {state.peak:,} MiB.",
        "",
        f"Faults: {len(state.faults) or 'none'}.",
        *faults,
    ]


def _is_mended(kept: Path) -> bool:
    """Whether the text of a fault is examined without one now. One that only took memory is not tried."""
    start = process_time()
    try:
        examine(kept.read_text(encoding="utf-8", errors="surrogateescape"))
    except Exception:
        return False
    return process_time() - start < SECONDS and not kept.stem.startswith("large")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000, help="texts, in this run")
    parser.add_argument("--longest", type=int, default=128 * 1024, help="bytes of a text; short ones take 2 ms each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=ROOT / "fuzz" / "frontend")
    parser.add_argument("--report", action="store_true", help="only write the page of what has been found")
    given = parser.parse_args()
    if given.report:
        report("fuzz_frontend", written(given.folder))
    else:
        run(given.folder, given.count, given.longest, given.seed)


if __name__ == "__main__":
    main()
