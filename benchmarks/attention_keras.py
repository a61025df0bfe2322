"""Attention in Keras, equality, memory and time of the layer: `python benchmarks/attention_keras.py [ROUNDS]`.

Batch 8, 8 heads of 20 key dimensions and 8 value dimensions, shared tables. The naive form is the same layer with all
queries in one block. Every figure is of one forward and backward pass. Memory is measured in a fresh process, as what
the process grows by at most; times are processor time in one thread, both forms in turn in one process.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from time import process_time, sleep
from typing import Any

import numpy as np
from measure import Pairs, hardware, pairs, report
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

BATCH, HEADS, DK, DV = 8, 8, 160, 64
FRAMEWORKS = {"tensorflow": "TensorFlow", "xla": "TensorFlow, XLA", "jax": "JAX", "torch": "PyTorch"}
NAIVE = 2**30  # queries in a block: all of them


# --- in a process of its own: one framework ------------------------------------------------------------


def oracle(x: Array, rel_h: Array, rel_w: Array, upstream: Array) -> tuple[Array, ...]:
    """Output and gradients (input, tables) in float64, pair by pair, image by image."""
    height, width = x.shape[1:3]
    rows, columns = np.divmod(np.arange(height * width), width)
    at_h = rows[None] - rows[:, None] + height - 1
    at_w = columns[None] - columns[:, None] + width - 1
    out, dx = np.zeros(upstream.shape), np.zeros(x.shape)
    dh, dw = np.zeros(rel_h.shape), np.zeros(rel_w.shape)
    dim = DK // HEADS
    for i, head in np.ndindex(len(x), HEADS):
        q, k, v = (slice(s + head * d, s + head * d + d) for s, d in ((0, dim), (DK, dim), (2 * DK, DV // HEADS)))
        image = x[i].reshape(height * width, -1).astype("float64")
        scaled = image[:, q] * dim**-0.5
        terms = np.take_along_axis(scaled @ rel_h.T, at_h, 1) + np.take_along_axis(scaled @ rel_w.T, at_w, 1)
        logits = scaled @ image[:, k].T + terms
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        at = slice(head * (DV // HEADS), (head + 1) * (DV // HEADS))
        g = upstream[i].reshape(height * width, -1)[:, at]
        out[i, ..., at] = (p @ image[:, v]).reshape(height, width, -1)
        ds = p * (g @ image[:, v].T - (g * (p @ image[:, v])).sum(1, keepdims=True))
        dq = ds @ image[:, k]
        for table, gradient, where in ((rel_h, dh, at_h), (rel_w, dw, at_w)):
            by_place = np.zeros((height * width, len(table)))
            np.add.at(by_place, (np.arange(height * width)[:, None], where), ds)
            dq += by_place @ table
            gradient += by_place.T @ scaled
        for part, found in ((q, dq * dim**-0.5), (k, ds.T @ scaled), (v, p.T @ g)):
            dx[i, ..., part] = found.reshape(height, width, -1)
    return out, dx, dh, dw


def prepare(framework: str, dtype: str) -> None:
    """One thread, before anything runs."""
    os.environ["KERAS_BACKEND"] = "tensorflow" if framework == "xla" else framework
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    os.environ["JAX_ENABLE_X64"] = str(dtype == "float64")
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    elif framework == "torch":
        import torch

        torch.set_num_threads(1)


def attention(size: int, dtype: str, block: int | None) -> Any:
    """The layer, with weights as large as its input."""
    from archdsl_keras.layers.attend import RelativeAttention2d

    layer = RelativeAttention2d(DK, DV, HEADS, dtype=dtype)
    layer.build((None, size, size, 2 * DK + DV))
    for weight in layer.weights:
        weight.assign(np.random.default_rng(0).standard_normal(weight.shape))
    if block is not None:
        layer.block = block
    return layer


def step(framework: str, layer: Any, g: Array) -> Callable[[Array], tuple[Array, ...]]:
    """Output and gradients of the input and both tables, for images."""
    if framework == "jax":
        return _jax_step(layer, g)
    return _torch_step(layer, g) if framework == "torch" else _tensorflow_step(layer, g, framework == "xla")


def _tensorflow_step(layer: Any, g: Array, jit: bool) -> Callable[[Array], tuple[Array, ...]]:
    import tensorflow as tf

    @tf.function(jit_compile=jit)
    def run(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return y, *tape.gradient(y, [x, *(w.value for w in layer.weights)], tf.constant(g)[: len(x)])

    return lambda x: tuple(t.numpy() for t in run(tf.constant(x)))


def _jax_step(layer: Any, g: Array) -> Callable[[Array], tuple[Array, ...]]:
    import jax

    @jax.jit
    def run(x: Any, tables: Any) -> Any:
        y, back = jax.vjp(lambda x, tables: layer.stateless_call(tables, [], x)[0], x, tables)
        dx, tables = back(g[: len(x)])
        return y, dx, *tables

    return lambda x: tuple(np.asarray(t) for t in run(x, [w.value for w in layer.weights]))


def _torch_step(layer: Any, g: Array) -> Callable[[Array], tuple[Array, ...]]:
    import torch

    def run(x: Array) -> tuple[Array, ...]:
        images = torch.tensor(x, requires_grad=True)
        y = layer(images)
        wanted = [images, *(w.value for w in layer.weights)]
        found = torch.autograd.grad(y, wanted, torch.tensor(g[: len(x)]))
        return tuple(t.detach().numpy() for t in (y, *found))

    return run


def growth(action: Callable[[], object]) -> float:
    """By how many MB the process grows at most while an action runs."""
    done, top, before = Event(), 0, resident()

    def watch() -> None:
        nonlocal top
        while not done.is_set():
            top = max(top, resident())
            sleep(0.001)

    watcher = Thread(target=watch)
    watcher.start()
    action()
    done.set()
    watcher.join()
    return (top - before) / 1e6


def resident() -> int:
    """Bytes of this process in memory."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def cell(what: str, framework: str, size: int, form: str, rounds: int) -> object:
    """What is measured in a process of its own."""
    dtype = "float64" if what == "equality64" else "float32"
    prepare(framework, dtype)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((BATCH, size, size, 2 * DK + DV)).astype(dtype)
    g = rng.standard_normal((BATCH, size, size, DV)).astype(dtype)
    layer = attention(size, dtype, NAIVE if form == "naive" else None)
    ours = step(framework, layer, g)
    if what == "memory":
        ours(x[:1])  # what is loaded and compiled once
        return growth(lambda: ours(x))
    if what == "time":
        theirs = step(framework, attention(size, dtype, NAIVE), g)
        found = pairs(timed(lambda: ours(x)), timed(lambda: theirs(x)), rounds)
        return found.ours, found.theirs
    wanted = oracle(x, *(np.asarray(t) for t in step_tables(layer)), g)
    return [float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(ours(x), wanted, strict=True)]


def step_tables(layer: Any) -> list[Array]:
    import keras

    return [keras.ops.convert_to_numpy(w).astype("float64") for w in layer.weights]


def timed(action: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        start = process_time()
        action()
        return process_time() - start

    return run


# --- the page ------------------------------------------------------------------------------------------


def measured(*cell: object) -> Any:
    """What `cell` gives in a fresh process."""
    command = [sys.executable, __file__, "cell", *map(str, cell)]
    env = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed is given back at once
    ended = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return json.loads(ended.stdout.splitlines()[-1])


def equality(framework: str) -> str:
    single, double = (measured(what, framework, 16, "ours", 0) for what in ("equality32", "equality64"))
    shown = " | ".join(f"{a[0]:.1e}, {max(a[1:]):.1e}" for a in (single, double))
    return f"| {FRAMEWORKS[framework]} | {shown} |"


def cost(framework: str, size: int, rounds: int) -> str:
    ours, naive = (measured("memory", framework, size, form, 0) for form in ("ours", "naive"))
    times = Pairs(*map(tuple, measured("time", framework, size, "ours", rounds)))
    what = f"{FRAMEWORKS[framework]}, {size}x{size}"
    memory = f"{ours:,.0f} MB | {naive:,.0f} MB | 1/{naive / ours:.1f}"
    a, b = min(times.ours), min(times.theirs)
    return f"| {what} | {memory} | {a:.2f} s | {b:.2f} s | {times.ratio:.2f} |"


def main() -> None:
    if sys.argv[1:2] == ["cell"]:
        what, framework, size, form, rounds = sys.argv[2:]
        print(json.dumps(cell(what, framework, int(size), form, int(rounds))))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    report(
        "attention_keras",
        [
            "# Attention in Keras, forward and backward",
            "",
            hardware(["keras", "tensorflow-cpu", "jax", "torch"])
            + " Batch 8, 8 heads, 20 key dimensions a head, float32. One thread; processor time, least of"
            + f" {rounds} rounds in turn, ratio: the median of pairs. Memory: growth of a fresh process.",
            "",
            "| framework | generated: memory | naive: memory | ratio | generated: time | naive: time | ratio |",
            "|---|---|---|---|---|---|---|",
            *(cost(framework, size, rounds) for size in (16, 32) for framework in FRAMEWORKS),
            "",
            "The largest difference from a float64 oracle in NumPy, relative to the largest value: outputs, gradients",
            "(16x16).",
            "",
            "| framework | float32 | float64 |",
            "|---|---|---|",
            *map(equality, FRAMEWORKS),
        ],
    )


if __name__ == "__main__":
    main()
