"""Attention in Keras: exact on every grid, and never with the logits of all pairs in memory."""

import os
import re
from collections.abc import Iterator
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import pytest
from effort import HEAVY

from archdsl_keras.framework import load_keras

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
keras = load_keras()
import numpy as np  # noqa: E402 (Keras is imported quietly, and first)
import tensorflow as tf  # noqa: E402

import archdsl  # noqa: E402
from archdsl_keras.layers.attend import Attention2d, RelativeAttention2d  # noqa: E402

GRIDS = [(1, 1), (3, 5), (8, 8), (5, 13), (1, 70), (67, 1), (9, 16), *([(32, 32), (56, 40)] if HEAVY else [])]
SPEC = """model small {
  input [3, 12, 12]
  a: conv(20, 1) -> rel_attention(8, 4, heads=2, relative="per_head")
  b: conv(20, 1) -> rel_attention(8, 4, heads=4, relative=false)
  head: gap -> dense(3)
}"""


@pytest.fixture(autouse=True)
def policy() -> Iterator[None]:
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


def layer(dk: int, dv: int, heads: int, relative: str, grid: tuple[int, int], dtype: str = "float64") -> Any:
    """A layer with weights as large as its input."""
    if relative == "none":
        return Attention2d(dk, dv, heads, dtype=dtype)
    made = RelativeAttention2d(dk, dv, heads, per_head=relative == "per_head", dtype=dtype)
    made.build((None, *grid, 2 * dk + dv))
    for weight in made.weights:
        weight.assign(np.random.default_rng(0).standard_normal(weight.shape))
    return made


def naive(x: Any, dk: int, dv: int, heads: int, *tables: Any) -> Any:
    """The definition, pair by pair: a bias for every two positions, and all weights at once."""
    _, height, width, _ = x.shape
    rows, columns = np.divmod(np.arange(height * width), width)
    q, k, v = tf.split(tf.reshape(x, (len(x), height * width, -1)), (dk, dk, dv), -1)
    q, k, v = (tf.stack(tf.split(part, heads, -1), 1) for part in (q, k, v))
    logits = tf.einsum("bnid,bnjd->bnij", q, k)
    for table, at, size in zip(tables, (rows, columns), (height, width), strict=False):
        bias = tf.gather(table, at[None] - at[:, None] + size - 1, axis=-2)
        logits += tf.einsum("bnid,nijd->bnij", q, tf.broadcast_to(bias, (heads, *bias.shape[-3:])))
    weights = tf.nn.softmax(logits * (dk // heads) ** -0.5)
    out = tf.concat(tf.unstack(tf.einsum("bnij,bnjd->bnid", weights, v), axis=1), -1)
    return tf.reshape(out, (len(x), height, width, dv))


@pytest.mark.more
@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: f"{grid[0]}x{grid[1]}")
def test_outputs_and_gradients_are_those_of_the_definition(grid: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    for relative, (dk, dv, heads) in product(("shared", "per_head", "none"), ((6, 4, 2), (3, 5, 1))):
        made = layer(dk, dv, heads, relative, grid)
        x = tf.constant(rng.standard_normal((2, *grid, 2 * dk + dv)))
        upstream = rng.standard_normal((2, *grid, dv))
        tables = [weight.value for weight in made.weights]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            found, wanted = made(x), naive(x, dk, dv, heads, *tables)
        gradients = [tape.gradient(y, [x, *tables], upstream) for y in (found, wanted)]
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
        for ours, theirs in zip(*gradients, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)


def numbers(text: str) -> int:
    """The numbers of the largest array in a compiled program."""
    shapes = re.findall(r"\b(?:f16|bf16|f32|pred)\[([\d,]+)\]", text)
    return max(prod(map(int, shape.split(","))) for shape in shapes)


@pytest.mark.parametrize("relative", ["shared", "none"])
def test_a_compiled_step_never_holds_all_pairs(relative: str) -> None:
    """Also not behind what the gradients need: the program of the whole step names every array."""
    made = layer(40, 4, 2, relative, (32, 32), "float32")
    tables = [weight.value for weight in made.weights]

    def step(x: Any, attend: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.square(attend(x)))
        return tape.gradient(loss, [x, *tables])

    compiled = tf.function(lambda x: step(x, made), jit_compile=True)
    x = tf.constant(np.random.default_rng(1).standard_normal((2, 32, 32, 84)), tf.float32)
    for ours, theirs in zip(compiled(x), step(x, lambda x: naive(x, 40, 4, 2, *tables)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())
    text = compiled.experimental_get_compiler_ir(x)(stage="optimized_hlo")
    pairs = 2 * 2 * 1024 * 1024
    assert pairs // 16 <= numbers(text) <= pairs // 8


@pytest.mark.more
@pytest.mark.parametrize("policy_name", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_it_learns_and_is_saved_in_every_precision(policy_name: str, tmp_path: Path) -> None:
    keras.config.set_dtype_policy(policy_name)
    keras.utils.set_random_seed(0)
    model = archdsl.load(SPEC, to="keras")
    x = np.random.default_rng(0).random((4, 12, 12, 3), dtype="float32")
    before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.5), loss, jit_compile=HEAVY)
    history = model.fit(x, np.array([0, 1, 2, 0]), batch_size=2, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    after = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    assert all((old != new).any() for old, new in zip(before, after, strict=True))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    exact = archdsl.load(SPEC, to="keras")
    exact.set_weights(model.get_weights())
    difference = np.abs(exact.predict(x, verbose=0) - model.predict(x, verbose=0)).max()
    assert difference <= {"float32": 1e-6}.get(policy_name, 0.05)
