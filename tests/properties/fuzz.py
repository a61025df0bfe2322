"""`make fuzz`: thousands of random specs, each held against its own programs (see differ.py).

Spec number n of a seed is `small(Random(f"{seed}:{n}"))`, whatever was drawn before it: so a run can be cut into parts
for several processes, broken off and taken up again, and each fault is told by two numbers. Hypothesis would give
neither, and spends a third of the time on how it could shrink; here a fault is made smaller by its syntax tree
(shrink.py), once it is found.

What a run found stands in FOLDER: figures in state-SEED.json, the smallest spec of each kind of fault in a file.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

from author import small
from differ import BACKENDS, Fault, Rejected, faults_of, frameworks
from shrink import expressions, shrunk

from archdsl.graph.elaborate import Program, elaborate, load
from archdsl.graph.graph import bodies, parts
from archdsl.language.ops import OPS
from archdsl.language.ops.op import Op
from archdsl.language.source import Source
from archdsl.language.syntax import ast

__all__ = ["Found", "examined", "spec_text"]

PATIENCE = 60  # seconds of the processor for one spec
SAVED_EVERY = 50


@dataclass(frozen=True)
class Found:
    """One spec: what it is made of, and what is wrong with it."""

    number: int
    rejected: bool
    ops: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()
    faults: tuple[Fault, ...] = ()


@dataclass
class State:
    """A run so far. faults: by kind, how many specs have it, the first of them and what it says."""

    seed: int
    done: int = 0
    rejected: int = 0
    faulty: int = 0
    seconds: float = 0.0
    ops: Counter[str] = field(default_factory=Counter)
    features: Counter[str] = field(default_factory=Counter)
    faults: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path, seed: int) -> State:
        if not path.exists():
            return cls(seed)
        held = json.loads(path.read_text(encoding="utf-8"))
        return cls(**held | {name: Counter(held[name]) for name in ("ops", "features")})

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        part.write_text(json.dumps(vars(self), indent=1), encoding="utf-8")
        part.replace(path)

    def add(self, found: Found) -> Iterator[Fault]:
        """Count a spec; its faults of a new kind."""
        self.done = found.number + 1
        self.rejected += found.rejected
        self.faulty += bool(found.faults)
        self.ops.update(found.ops)
        self.features.update(found.features)
        for fault in found.faults:
            if fault.kind not in self.faults:
                yield fault
            known = self.faults.setdefault(fault.kind, {"specs": 0, "first": found.number, "says": fault.says})
            known["specs"] += 1


def spec_text(seed: int, number: int) -> str:
    return small(Random(f"{seed}:{number}"))


def examined(seed: int, number: int) -> Found:
    """Hold one spec against its programs."""
    text = spec_text(seed, number)
    try:
        faults = tuple(_in_time(text))
    except Rejected:
        return Found(number, True)
    program = load(Source("spec.arch", text))
    return Found(number, False, frozenset(_ops(program)), frozenset(_features(program)), faults)


def _in_time(text: str, backends: tuple[str, ...] = BACKENDS) -> list[Fault]:
    def late(*_: object) -> None:
        raise TimeoutError(f"more than {PATIENCE} seconds")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)
    try:
        return faults_of(text, backends)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


# --- what a spec is made of --------------------------------------------------------------------------


def _ops(program: Program) -> Iterator[str]:
    graph = elaborate(program, *program.models).graph
    assert graph is not None
    for body in bodies(graph):
        for node in body:
            yield from (part.name for part, _ in parts(node.op) if isinstance(part, Op))


def _features(program: Program) -> Iterator[str]:
    """Words for what the language has: kinds of expressions, functions, what a declaration does."""
    blocks = [b.node for b in program.main.own.values()]
    for block in blocks:
        if any(isinstance(s, ast.Bind) and len(s.names) > 1 for s in block.body):
            yield "several names"
        for node in expressions(block):
            yield type(node).__name__ + (
                f" {node.op}" if isinstance(node, ast.Binary | ast.Compare | ast.Unary) else ""
            )
            if isinstance(node, ast.Number) and not isinstance(node.value, int):
                yield "fraction"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.name not in OPS:
                own = node.func.name in program.main.own
                yield f"{block.kind} calls a block" if own else f"calls {node.func.name}"
                if node.func.name == block.name:
                    yield "recursion"
        yield from (f"{block.kind} with {len(block.params)} parameters" for _ in block.params[:1])


# --- a run -------------------------------------------------------------------------------------------


def _one(task: tuple[int, int]) -> Found:
    return examined(*task)


def _smallest(task: tuple[int, int, str, float]) -> tuple[str, str, str]:
    """The kind of a fault, the smallest spec that has it, and what it says there."""
    seed, number, kind, seconds = task
    backends = tuple(b for b in BACKENDS if kind.startswith(b)) or ()
    says: dict[str, str] = {}

    def keeps(text: str) -> bool:
        try:
            faults = _in_time(text, backends)
        except (Rejected, Exception):
            return False
        for fault in faults:
            if fault.kind == kind:
                says[text] = fault.says
        return text in says

    text = shrunk(spec_text(seed, number), keeps, seconds)
    return kind, text, says.get(text) or next((f.says for f in _in_time(text, backends) if f.kind == kind), "")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description="Hold random specs against their programs.")
    parser.add_argument("--count", type=int, default=10_000, help="specs of this seed, those done before included")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=Path("fuzz"))
    parser.add_argument("--shrink", type=float, default=60, help="seconds to make the spec of a fault smaller")
    parser.add_argument("specs", type=Path, nargs="*", help="files to be held before")
    args = parser.parse_args(arguments)
    wrong = [f"{path}: {fault.says}" for path in args.specs for fault in faults_of(path.read_text(encoding="utf-8"))]
    print("\n".join(wrong))
    args.folder.mkdir(parents=True, exist_ok=True)
    path = args.folder / f"state-{args.seed}.json"
    state = State.of(path, args.seed)
    os.environ |= {
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }  # where the work is done
    with get_context("spawn").Pool(args.jobs, frameworks, maxtasksperchild=500) as pool:
        _run(state, path, pool.imap(_one, ((args.seed, n) for n in range(state.done, args.count)), chunksize=4))
        fresh = [k for k in state.faults if not _file(args.folder, k).exists()]
        for kind, text, says in pool.imap_unordered(
            _smallest, [(args.seed, state.faults[k]["first"], k, args.shrink) for k in fresh]
        ):
            said = " ".join(says.split())
            _file(args.folder, kind).write_text(f"# {kind}: {said[:300]}\n{text}", encoding="utf-8")
            print(f"\n{kind}: {said}\n\n{text}")
    _report(state)
    return 1 if wrong or state.faults else 0


def _file(folder: Path, kind: str) -> Path:
    return folder / f"{re.sub('[^a-z0-9]+', '_', kind.lower()).strip('_')}.arch"


def _run(state: State, path: Path, results: Iterator[Found]) -> None:
    begun = time.monotonic() - state.seconds
    for found in results:
        for fault in state.add(found):
            print(f"spec {found.number}: {fault.kind}: {fault.says}"[:300], flush=True)
        state.seconds = time.monotonic() - begun
        if state.done % SAVED_EVERY == 0:
            state.save(path)
            if sys.stderr.isatty():
                print(f"\r{state.done:,} specs, {state.done / state.seconds:.1f} a second ", end="", file=sys.stderr)
    state.save(path)


def _report(state: State) -> None:
    print(
        f"\n{state.done:,} specs of seed {state.seed}, {state.done / max(state.seconds, 1e-9):.1f} a second; "
        f"{state.rejected:,} were no specs; {state.faulty:,} have a fault, {len(state.faults)} kinds"
    )
    print(f"{len(state.ops)} ops; missed: {', '.join(sorted(set(OPS) - set(state.ops))) or 'none'}")
    print(f"features: {', '.join(f'{name} {n}' for name, n in state.features.most_common())}")
    for kind, known in sorted(state.faults.items(), key=lambda item: -item[1]["specs"]):
        print(f"{known['specs']:6}  {kind}  (first: spec {known['first']})")


if __name__ == "__main__":
    sys.exit(main())
