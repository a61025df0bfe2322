"""What the front end costs: `python benchmarks/frontend.py`. Needs `pip install --no-deps pytorchcv`.

Four figures, all in one run: a cold `check` against importing its two libraries, the largest network of the
paper against building it, growth with the length of a spec, and the memory of a large graph.
"""

import gc
import os
import resource
import subprocess
import sys
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

from measure import ROOT, Pairs, hardware, pairs, report, seconds

from archdsl.graph.contracts import hold
from archdsl.graph.cost import cost
from archdsl.graph.elaborate import elaborate, load
from archdsl.graph.graph import Graph, bodies
from archdsl.language.source import Source

HEAD = "| what | ours | compared with | ratio (95 % interval) | aim |\n|---|---|---|---|---|"
LONGEST = 23_000  # lines: about as many tokens as a file may have


def front_end(source: Source) -> Graph:
    """Parse, elaborate, check and count the first model of a text: what `archdsl check` and `show` do."""
    program = load(source)
    result = elaborate(program, next(iter(program.models)))
    problems = [*program.diagnostics, *result.diagnostics]
    if result.graph is not None:
        problems += hold(result.graph, result.contracts)
    if result.graph is None or problems:
        raise SystemExit("\n".join(map(str, problems)))
    cost(result.graph)
    return result.graph


def cold_check(rounds: int) -> Pairs:
    """A new process that checks Attention-56, against one that imports lark and networkx; both with cached bytecode."""
    with TemporaryDirectory() as cache:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": cache}

        def process(*arguments: str) -> float:
            command = [sys.executable, *arguments]
            return seconds(lambda: subprocess.run(command, check=True, cwd=ROOT, env=environment))

        return pairs(
            lambda: process("-m", "archdsl", "check", "specs/attention56.arch"),
            lambda: process("-c", "import lark, networkx"),
            rounds,
        )


def attention452(rounds: int) -> tuple[Pairs, Pairs]:
    """Attention-452 for ImageNet against pytorchcv building it, with its weights, and without any (meta device)."""
    import torch
    from pytorchcv.models.resattnet import resattnet452

    text = (ROOT / "specs" / "attention452.arch").read_text(encoding="utf-8")

    def ours() -> float:
        return seconds(lambda: front_end(Source("attention452.arch", text)))

    def build_meta() -> None:
        with torch.device("meta"):
            resattnet452()

    return pairs(ours, lambda: seconds(resattnet452), rounds), pairs(ours, lambda: seconds(build_meta), rounds)


def long_spec(lines: int) -> Source:
    """A spec of that many lines: blocks of ten lines, each used once."""
    blocks = lines // 11
    texts = [
        f"""block b{i}(c, stride=1) {{
  h{i}  = in -> bn -> relu
  f1  = h{i} -> conv({i % 13 + 8}, 1) -> bn -> relu
  f2  = f1 -> conv({i % 7 + 8}, 3, stride) -> bn -> relu
  f3  = f2 -> conv(c, 1)
  s   = in if in.c == c and stride == 1 else h{i} -> conv(c, 1, stride)
  g   = f3 -> gap -> dense(c/2) -> relu -> dense(c) -> sigmoid
  x   = f3 * g
  out = x + s
}}"""
        for i in range(blocks)
    ]
    stages = [f"  s{i}: b{i}(16)" for i in range(blocks)]
    model = "\n".join(["model long {", "  input [16, 16, 16]", *stages, "}"])
    return Source("long.arch", "\n".join([*texts, model]) + "\n")


def growth(rounds: int) -> Pairs:
    """10,000 lines against 1,000, in processor time, each without garbage of the one before."""
    long, short = long_spec(10_000), long_spec(1_000)

    def spent(source: Source) -> float:
        gc.collect()
        start = process_time()
        front_end(source)
        return process_time() - start

    return pairs(lambda: spent(long), lambda: spent(short), rounds)


def _measure_large() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = perf_counter()
    graph = front_end(long_spec(LONGEST))
    time = perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    nodes = sum(len(body) for body in bodies(graph))
    print(f"{nodes} {time:.2f} {before // 1024} {peak // 1024}")


def large(rounds: int) -> str:
    """Time and peak memory (MiB) of about the longest spec that is read, in a process of its own."""
    runs = [
        subprocess.run([sys.executable, __file__, "--large"], check=True, capture_output=True, text=True).stdout.split()
        for _ in range(rounds)
    ]
    nodes, time, before, peak = sorted(runs, key=lambda r: float(r[1]))[rounds // 2]
    return (
        f"{LONGEST:,} lines, {int(nodes):,} distinct nodes: {time} s, peak memory {peak} MiB "
        f"({before} MiB before it starts); median of {rounds} processes."
    )


def main() -> None:
    memory = large(3)  # first: a process begins with the peak of the one that started it, so before torch is here
    cold = cold_check(11)
    grown = growth(7)
    built, meta = attention452(7)
    report(
        "frontend",
        [
            "# The front end",
            "",
            hardware(["lark", "networkx", "torch", "pytorchcv"]),
            "",
            HEAD,
            cold.row("cold `archdsl check specs/attention56.arch` / `python -c 'import lark, networkx'`", "at most 2"),
            built.row("Attention-452: parse, elaborate, check, cost / pytorchcv builds it", "at most 0.1"),
            meta.row("the same / pytorchcv builds it without weights (meta device)", ""),
            grown.row("10,000 lines / 1,000 lines (processor time)", "at most 13"),
            "",
            memory,
        ],
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--large"]:
        _measure_large()
    else:
        main()
