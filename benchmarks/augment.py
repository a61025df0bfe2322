"""Augmentation of a batch against what it could be replaced by: `python benchmarks/augment.py [ROUNDS]`.

A batch is 128 images of 3 x 32 x 32 (CIFAR's), in one process and one thread, each pair in turn. For both frameworks,
`pad_crop(4) -> hflip` against loaders that do the same an image at a time, as most programs have them, and against the
lines that one would write by hand; for PyTorch, other words against kornia's own classes.
"""

import os
import sys
from collections.abc import Callable
from time import process_time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import kornia.augmentation as K
import numpy as np
import tensorflow as tf
import torch
import torch.nn.functional as F
from measure import Pairs, hardware, pairs, report
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import archdsl_keras.augment
import archdsl_torch.augment
from archdsl.language.recipe import Recipe, Word
from archdsl.language.recipe.words import ColorJitter, Hflip, PadCrop, RandomErasing, ResizedCrop, Rotate, Shift

BATCH, SIZE, PAD = 128, 32, 4
CROP_AND_FLIP = (PadCrop(PAD), Hflip())
KORNIA: dict[Word, nn.Module] = {
    PadCrop(PAD): K.RandomCrop((SIZE, SIZE), padding=PAD),
    Hflip(): K.RandomHorizontalFlip(),
    Rotate(15): K.RandomRotation(15.0),
    Shift(0.1): K.RandomAffine(0.0, translate=(0.1, 0.1)),
    ResizedCrop(): K.RandomResizedCrop((SIZE, SIZE)),
    ColorJitter(): K.ColorJitter(0.4, 0.4, 0.4, 0.0),
    RandomErasing(): K.RandomErasing((0.02, 0.4), (0.3, 1 / 0.3)),
}


class AnImageAtATime(Dataset[Tensor]):
    """What a loader draws from: each image is padded, cut and flipped by itself."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        top, left, flip = (*torch.randint(2 * PAD + 1, (2,)).tolist(), torch.rand(()) < 0.5)
        window = F.pad(self.images[index], (PAD,) * 4)[:, top : top + SIZE, left : left + SIZE]
        return window.flip(2) if flip else window


def by_hand(images: Tensor) -> Tensor:
    padded = F.pad(images, (PAD,) * 4)
    corners = torch.randint(2 * PAD + 1, (len(images), 2)).tolist()
    cut = torch.stack([one[:, y : y + SIZE, x : x + SIZE] for one, (y, x) in zip(padded, corners, strict=True)])
    return torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, cut.flip(3), cut)


def one_in_tensorflow(image: tf.Tensor) -> tf.Tensor:
    padded = tf.image.resize_with_crop_or_pad(image, SIZE + 2 * PAD, SIZE + 2 * PAD)
    return tf.image.random_flip_left_right(tf.image.random_crop(padded, (SIZE, SIZE, 3)))


def timed(action: Callable[[], object], repeats: int = 10) -> Callable[[], float]:
    """Processor time of one call, in seconds."""

    def measured() -> float:
        start = process_time()
        for _ in range(repeats):
            action()
        return (process_time() - start) / repeats

    return measured


def in_pytorch(rounds: int) -> list[tuple[str, Pairs]]:
    images = torch.rand(BATCH, 3, SIZE, SIZE)
    loader = DataLoader(AnImageAtATime(images), BATCH)

    def ours(*words: Word) -> Callable[[], float]:
        augment = archdsl_torch.augment.Augment(Recipe(augment=words), in_memory=True)
        return timed(lambda: augment(images))

    others = {
        "a loader, an image at a time": lambda: list(loader),
        "slices by hand, stacked": lambda: by_hand(images),
        "kornia": lambda: KORNIA[CROP_AND_FLIP[1]](KORNIA[CROP_AND_FLIP[0]](images)),
    }
    rows = [
        (f"PyTorch, `pad_crop(4) -> hflip`, against {name}", pairs(ours(*CROP_AND_FLIP), timed(other), rounds))
        for name, other in others.items()
    ]
    return rows + [
        (f"PyTorch, `{word.name}`, against kornia", pairs(ours(word), timed(lambda k=k: k(images)), rounds))
        for word, k in KORNIA.items()
    ]


def in_keras(rounds: int) -> list[tuple[str, Pairs]]:
    images = np.random.default_rng(0).random((BATCH, SIZE, SIZE, 3), np.float32)
    augment = archdsl_keras.augment.Augment(Recipe(augment=CROP_AND_FLIP), True, keras.random.SeedGenerator(0))
    one_by_one = tf.data.Dataset.from_tensor_slices(images).map(one_in_tensorflow).batch(BATCH)
    batch = tf.constant(images)
    rows = []
    for name, jit in (("a graph", False), ("XLA", True)):
        compiled = tf.function(augment, jit_compile=jit)
        ours = timed(lambda compiled=compiled: compiled(batch).numpy())
        theirs = timed(lambda: [x.numpy() for x in one_by_one])
        what = f"Keras on TensorFlow as {name}, `pad_crop(4) -> hflip`, against `tf.data`, an image at a time"
        rows.append((what, pairs(ours, theirs, rounds)))
    return rows


def main() -> None:
    torch.set_num_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    lines = [
        "# Augmentation of a batch",
        "",
        hardware(["torch", "kornia", "keras", "tensorflow-cpu"]),
        f"{BATCH} images of 3 x {SIZE} x {SIZE}; processor time of one batch, one thread, each pair in turn; a GPU was "
        "not measured.",
        "",
        "| what | ours | theirs | ours / theirs (95 %) | aim |",
        "|---|---|---|---|---|",
        *(result.row(what, "below 1") for what, result in (*in_pytorch(rounds), *in_keras(rounds))),
    ]
    report("augment", lines)


if __name__ == "__main__":
    main()
