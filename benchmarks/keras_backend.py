"""The Keras backend: compiling against PyTorch's, and a training step against a hand-written network.

`python benchmarks/keras_backend.py [ROUNDS]`. The hand-written WRN-16-4 is what a Keras user writes: one functional
model with Keras's own batch norm and `same` padding. Both have the same parameters and run in one process in turn, in
`train_on_batch` with SGD, in one thread.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from time import process_time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from measure import ROOT, hardware, pairs, report, seconds

import archdsl

BATCH = 32


def wide_block(x: keras.KerasTensor, channels: int, stride: int = 1) -> keras.KerasTensor:
    """Pre-activation basic block; the shortcut is a 1x1 convolution of the activation where shapes change."""
    h = layers.ReLU()(layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x))
    f = layers.Conv2D(channels, 3, stride, padding="same", use_bias=False)(h)
    f = layers.ReLU()(layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(f))
    f = layers.Conv2D(channels, 3, padding="same", use_bias=False)(f)
    if stride != 1 or x.shape[-1] != channels:
        x = layers.Conv2D(channels, 1, stride, use_bias=False)(h)
    return layers.Add()([f, x])


def wrn16_4(classes: int = 10) -> keras.Model:
    """WRN-16-4 by hand (Zagoruyko & Komodakis 2016, arXiv:1605.07146)."""
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 3, padding="same", use_bias=False)(inputs)
    for channels, stride in ((64, 1), (128, 2), (256, 2)):
        x = wide_block(x, channels, stride)
        x = wide_block(x, channels)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes)(x))


def step(model: keras.Model, jit: bool) -> Callable[[], float]:
    """One training step; its seconds of processor time, because other work on the machine hardly changes that."""
    optimizer = keras.optimizers.SGD(1e-3, momentum=0.9, nesterov=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=jit)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, 32, 32, 3), np.float32)
    y = rng.integers(10, size=BATCH)

    def timed() -> float:
        start = process_time()
        model.train_on_batch(x, y)
        return process_time() - start

    return timed


def compare(jit: bool, rounds: int) -> str:
    """A line of the table."""
    spec = str(ROOT / "specs" / "wrn28_10.arch")
    ours, theirs = archdsl.load(spec, to="keras", settings={"n": 2, "widen": 4}), wrn16_4()
    counts = [sum(int(np.prod(w.shape)) for w in m.trainable_weights) for m in (ours, theirs)]
    if counts[0] != counts[1]:
        raise SystemExit(f"{counts[0]:,} parameters, by hand {counts[1]:,}")
    found = pairs(step(ours, jit), step(theirs, jit), rounds)
    return found.row(f"step of WRN-16-4, {counts[0]:,} parameters, batch {BATCH}, jit_compile={jit}", "at most 1.05")


def compiling(name: str, rounds: int) -> str:
    """A line of the table: the whole command, from a cold start."""

    def to(backend: str) -> Callable[[], float]:
        spec = ROOT / "specs" / f"{name}.arch"
        command = [sys.executable, "-m", "archdsl", "compile", str(spec), "--to", backend]
        return lambda: seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))

    return pairs(to("keras"), to("torch"), rounds).row(
        f"`archdsl compile {name} --to keras` / `--to torch`", "at most 1.5"
    )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    report(
        "keras_backend",
        [
            "# The Keras backend",
            "",
            hardware(["keras", "tensorflow-cpu"]) + " Steps: one thread, processor time.",
            "",
            "| what | Keras, generated | PyTorch, or by hand | ratio (95 % interval) | aim |",
            "|---|---|---|---|---|",
            *(compiling(name, rounds) for name in ("attention452", "aa_wrn28_10")),
            *(compare(jit, rounds) for jit in (False, True)),
        ],
    )


if __name__ == "__main__":
    main()
