"""The words of recipes: a frozen dataclass each, whose fields are its parameters in the language.

A docstring is the word's meaning, the same in every framework: its distribution, not the numbers that are drawn. Images
are pixels in 0..1 as [channels, height, width] until they are normalised, which comes after all augmentation but
`mixup` and `cutmix`. Where nothing else is said, numbers are drawn for each image anew.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, dataclass_transform

from archdsl.language.schema import Count, parameter, parameters, written

__all__ = [
    "LINES", "Adam", "AdamW", "Cifar10", "Cifar100", "Clip", "ColorJitter", "Constant", "Cosine", "CrossEntropy",
    "Cutmix", "Digits", "Early", "Ema", "Folder", "Grey", "Hflip", "Hub", "Imagenet", "LabelNoise", "Linear", "Mixing",
    "Mixup", "Moment", "Optimizer", "PadCrop", "Plateau", "RandomErasing", "ResizedCrop", "Rotate", "Schedule", "Sgd",
    "Shift", "StandardizeImages", "StepDecay", "Subset", "Synthetic", "Word",
]  # fmt: skip


class Word:
    """Base of all words. line: the label that it stands under. name: how it is written.

    A field of kind `range` or `counts` is a tuple.
    """

    line: ClassVar[str]
    name: ClassVar[str]

    def __str__(self) -> str:
        """As it is written, with every parameter; `Recipe.text` is made of it."""
        given = ", ".join(f"{p.name}={written(getattr(self, p.name))}" for p in parameters(type(self)))
        return f"{self.name}({given})" if given else self.name


LINES: dict[str, dict[str, type[Word]]] = {}  # every word, by line and by name
_W = TypeVar("_W", bound=type[Word])


@dataclass_transform(frozen_default=True)
def _word(line: str, name: str) -> Any:
    def declare(cls: _W) -> _W:
        cls.line, cls.name = line, name
        LINES.setdefault(line, {})[name] = dataclass(frozen=True)(cls)
        return cls

    return declare


# --- data ------------------------------------------------------------------------------------------


@_word("data", "digits")
class Digits(Word):
    """scikit-learn's 1,797 handwritten digits, 8 x 8 and grey, a fifth of each held out."""


@_word("data", "cifar10")
class Cifar10(Word):
    """CIFAR-10: 50,000 and 10,000 images of 3 x 32 x 32 in 10 classes (Krizhevsky 2009).

    path: the official archive in its binary form, its unpacked folder, or a folder of images; where empty, the archive
        is taken from the cache, and put there on first use.
    """

    path: str = parameter("text", "")


@_word("data", "cifar100")
class Cifar100(Word):
    """CIFAR-100: 50,000 and 10,000 images of 3 x 32 x 32 in 100 classes (Krizhevsky 2009). path: as of `cifar10`."""

    path: str = parameter("text", "")


@_word("data", "imagenet")
class Imagenet(Word):
    """ImageNet of 2012 (Deng et al. 2009): a folder with train/nXXXXXXXX and val/nXXXXXXXX."""

    path: str = parameter("text", "")


@_word("data", "folder")
class Folder(Word):
    """A folder of images: train/CLASS/FILE and test/CLASS/FILE (or val), or only CLASS/FILE.

    split: the part of each class's images that is held out, of CLASS/FILE: at least one, and always the same. 0
        leaves it to the folder: its own `test`, or a fifth of each class where it has neither `train` nor `test`.
    """

    path: str = parameter("text")
    split: float = parameter("float", 0.0, low=0, high=0.9)


@_word("data", "hub")
class Hub(Word):
    """A data set that the `datasets` library knows, with an image and a label each.

    path: its name on the hub, or where it is. config: which of several. image, label: the names of its columns, found
    by their kinds where empty. train, test: the names of its parts; where `test` is empty it is found, or a fifth of
    each class is held out.
    """

    path: str = parameter("text")
    config: str = parameter("text", "")
    image: str = parameter("text", "")
    label: str = parameter("text", "")
    train: str = parameter("text", "train")
    test: str = parameter("text", "")


@_word("data", "synthetic")
class Synthetic(Word):
    """Images of noise around a pattern for each class, drawn with a fixed seed: for benchmarks and first trials."""

    classes: int = parameter("int", 10, low=2, high=100_000)
    train: int = parameter("int", 1000, low=2, high=10**7)
    test: int = parameter("int", 200, low=2, high=10**7)


# --- augmentation ----------------------------------------------------------------------------------


@_word("augment", "grey")
class Grey(Word):
    """All images are grey, held-out ones too: 0.299 red + 0.587 green + 0.114 blue of 8 bits, before anything else.

    A model that reads one channel takes images in colour by this word; three channels are then the same.
    """


@_word("augment", "subset")
class Subset(Word):
    """Only `per_class` images of each class are trained on, chosen by the seed."""

    per_class: int = parameter("int", low=1)


@_word("augment", "label_noise")
class LabelNoise(Word):
    """Each training label is wrong with probability `p`, once for the whole training: any other class is as likely."""

    p: float = parameter("float", low=0, high=1)


@_word("augment", "pad_crop")
class PadCrop(Word):
    """Pad each side by `pixels`, then cut a window of the image's own size from anywhere in it, all places as likely.

    mode: `zero` pads with black (before normalisation), `reflect` mirrors at the edge, which itself is not
    repeated: the image is larger than the padding.
    """

    pixels: int = parameter("int", 4, low=0, high=1024)
    mode: str = parameter("word", "zero", words=("zero", "reflect"))


@_word("augment", "hflip")
class Hflip(Word):
    """Mirror the image left to right with probability `p`."""

    p: float = parameter("float", 0.5, low=0, high=1)


@_word("augment", "rotate")
class Rotate(Word):
    """Turn the image around its middle by an angle uniform in [-degrees, degrees]: bilinear, black outside.

    The size stays: corners are lost.
    """

    degrees: float = parameter("float", 15.0, low=0, high=180)


@_word("augment", "shift")
class Shift(Word):
    """Move the image by a part of its height and a part of its width, each uniform in [-fraction, fraction].

    Bilinear, as these are no whole pixels; black outside.
    """

    fraction: float = parameter("float", 0.1, low=0, high=1)


@_word("augment", "resized_crop")
class ResizedCrop(Word):
    """Cut a window and resize it to the model's input: bilinear, antialiased, from pixels of the window alone.

    area: of the window, as a part of the image's, uniform. aspect: width by height, uniform on a logarithmic scale.
    Both sides are rounded to whole pixels, and all places are as likely. A window that does not fit is drawn again;
    after ten times the largest middle window of an allowed aspect is taken. Images of another size than the model's
    are cut at their full size, as they are decoded and before all other words; so are those that memory cannot hold.
    Source: Szegedy et al. 2015 (arXiv:1409.4842), section 6.
    """

    area: tuple[float, float] = parameter("range", (0.08, 1.0), above=0, high=1)
    aspect: tuple[float, float] = parameter("range", (3 / 4, 4 / 3), above=0)


@_word("augment", "color_jitter")
class ColorJitter(Word):
    """Change brightness, contrast, saturation (each by a factor uniform in [1 - x, 1 + x]) and hue, in a random order.

    A factor f gives f*image + (1 - f)*other, cut off at 0 and 1; the other is black, the mean of the image's
    grey, and its grey: 0.299 red + 0.587 green + 0.114 blue. hue: turns the hue of HSV by a part of a full turn,
    uniform in [-hue, hue]. Grey images have neither saturation nor hue.
    """

    brightness: float = parameter("float", 0.4, low=0, high=1)
    contrast: float = parameter("float", 0.4, low=0, high=1)
    saturation: float = parameter("float", 0.4, low=0, high=1)
    hue: float = parameter("float", 0.0, low=0, high=0.5)


@_word("augment", "random_erasing")
class RandomErasing(Word):
    """With probability `p` put black in place of a window of the image.

    area: of the window, as a part of the image's, uniform. aspect: height by width, uniform on a logarithmic scale.
    Both sides are rounded to whole pixels, and all places are as likely. A window that does not fit is drawn again;
    after ten times the image stays as it is.
    Source: Zhong et al. 2020 (arXiv:1708.04896).
    """

    p: float = parameter("float", 0.5, low=0, high=1)
    area: tuple[float, float] = parameter("range", (0.02, 0.4), above=0, high=1)
    aspect: tuple[float, float] = parameter("range", (0.3, 1 / 0.3), above=0)


class Mixing(Word):
    """Base of the words that put images of a batch together: they need two."""


@_word("augment", "mixup")
class Mixup(Mixing):
    """Blend each image of a batch, and its target, with another's: x*l + y*(1-l), one l of Beta(alpha, alpha) a batch.

    The others are the same batch in a random order. Where `cutmix` stands in the recipe too, each batch has one of
    the two, both as likely. Both work on normalised images, and on the part of a batch that a device has.
    Source: Zhang et al. 2018 (arXiv:1710.09412).
    """

    alpha: float = parameter("float", 1.0, above=0)


@_word("augment", "cutmix")
class Cutmix(Mixing):
    """Put a window of another image into each image of a batch; the target is blended by the areas that are seen.

    The window has a part 1-l of the area, l of Beta(alpha, alpha), and the image's aspect; its middle is anywhere
    in the image, its edges are rounded to whole pixels, and it is cut off at the image's. One window a batch, at
    one place; the others are as of `mixup`.
    Source: Yun et al. 2019 (arXiv:1905.04899).
    """

    alpha: float = parameter("float", 1.0, above=0)


@_word("augment", "standardize")
class StandardizeImages(Word):
    """Subtract a mean and divide by a deviation: of each `channel` or each `pixel` (and channel) over the training
    images, or of each `image` by itself. Without this word it is by channel.
    """

    by: str = parameter("word", "channel", words=("channel", "pixel", "image"))


# --- optimizers ------------------------------------------------------------------------------------

_RATE: dict[str, Any] = {"above": 0, "high": 1e6}
_DECAY: dict[str, Any] = {"low": 0, "high": 1e6}


class Optimizer(Word, ABC):
    """Base of the optimizers: what all of them have."""

    lr: float
    weight_decay: float
    decay: str

    @property
    @abstractmethod
    def moments(self) -> int:
        """How many numbers it keeps for each weight."""


@_word("optimizer", "sgd")
class Sgd(Optimizer):
    """Gradient descent with momentum: v = momentum*v + g + weight_decay*w; w -= lr*v, or lr*(g' + momentum*v) where
    `nesterov`, with g' = g + weight_decay*w.

    decay: `weights` leaves out tensors of one axis (biases, and the scales of norms), `all` leaves out none.
    """

    lr: float = parameter("float", **_RATE)
    momentum: float = parameter("float", 0.0, low=0, high=0.999999)
    nesterov: bool = parameter("bool", False)
    weight_decay: float = parameter("float", 0.0, **_DECAY)
    decay: str = parameter("word", "weights", words=("weights", "all"))

    @property
    def moments(self) -> int:
        return int(self.momentum > 0)


@_word("optimizer", "adam")
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, arXiv:1412.6980); the decay is added to the gradient. decay: as of `sgd`."""

    lr: float = parameter("float", 1e-3, **_RATE)
    beta1: float = parameter("float", 0.9, low=0, high=0.999999)
    beta2: float = parameter("float", 0.999, low=0, high=0.999999)
    eps: float = parameter("float", 1e-8, above=0)
    weight_decay: float = parameter("float", 0.0, **_DECAY)
    decay: str = parameter("word", "weights", words=("weights", "all"))
    moments: ClassVar[int] = 2


@_word("optimizer", "adamw")
class AdamW(Adam):
    """Adam with the decay apart from the gradient (Loshchilov & Hutter 2019, arXiv:1711.05101). decay: as of `sgd`."""

    weight_decay: float = parameter("float", 0.01, **_DECAY)


@_word("clip", "clip")
class Clip(Word):
    """Scale the gradient of all weights together down to a 2-norm of at most `norm`. Follows an optimizer."""

    norm: float = parameter("float", above=0)


# --- schedules -------------------------------------------------------------------------------------

_NONE = Count(0)


class Floats:
    """What formulas of schedules take beside Python's operators, of numbers; `keras.ops` has the same of tensors."""

    cos, minimum = math.cos, min

    @staticmethod
    def where(condition: bool, yes: float, no: float) -> float:
        return yes if condition else no


@dataclass(frozen=True)
class Moment:
    """Where a training stands, for the formulas of schedules.

    step: of the optimizer, counted from 0: a number, or a tensor of the framework that `maths` is of. per_epoch, total:
    steps of an epoch, and of the whole training. drops: how often `plateau` has lowered the rate.
    """

    step: Any
    per_epoch: int
    total: int
    drops: int = 0
    maths: Any = Floats

    def since(self, start: Count) -> Any:
        """The part that is done of all steps from `start` to the last: 0 to 1, and 1 beyond."""
        first = start.steps(self.per_epoch)
        return self.maths.minimum(1.0, (self.step - first) / max(1, self.total - first))


class Schedule(Word, ABC):
    """Base of the schedules: each says by its own formula which part of the optimizer's `lr` a step has.

    waits: whether the rate of an epoch follows from the losses before it (`drops`).
    """

    warmup: Count = _NONE
    waits: ClassVar[bool] = False

    def part(self, now: Moment) -> Any:
        """In a warm-up of n steps, step i has (i + 1)/n. Source: Goyal et al. 2017 (arXiv:1706.02677), section 2.2."""
        rise = self.warmup.steps(now.per_epoch)
        return now.maths.where(now.step < rise, (now.step + 1) / max(1, rise), self.risen(now))

    @abstractmethod
    def risen(self, now: Moment) -> Any:
        """The part after the warm-up."""

    def drops(self, losses: Sequence[float]) -> int:
        """How often the rate was lowered, by the losses on the held-out images of the epochs so far.

        It follows from them alone, so that a training which goes on needs to keep nothing.
        """
        return 0


@_word("schedule", "constant")
class Constant(Schedule):
    """The optimizer's `lr`, after a linear rise from 0 over `warmup`."""

    warmup: Count = parameter("count", _NONE)

    def risen(self, now: Moment) -> Any:
        return 1.0


@_word("schedule", "step_decay")
class StepDecay(Schedule):
    """Multiply the rate by `factor` at each count of `at`. warmup: as of `constant`."""

    at: tuple[Count, ...] = parameter("counts")
    factor: float = parameter("float", 0.1, above=0, high=1)
    warmup: Count = parameter("count", _NONE)

    def risen(self, now: Moment) -> Any:
        return self.factor ** sum(now.maths.where(now.step >= at.steps(now.per_epoch), 1.0, 0.0) for at in self.at)


@_word("schedule", "plateau")
class Plateau(Schedule):
    """Multiply the rate by `factor` whenever `patience` epochs brought no lower loss on the held-out images."""

    factor: float = parameter("float", 0.1, above=0, high=1)
    patience: int = parameter("int", 10, low=1)
    waits: ClassVar[bool] = True

    def risen(self, now: Moment) -> Any:
        return self.factor**now.drops

    def drops(self, losses: Sequence[float]) -> int:
        best, since, drops = math.inf, 0, 0
        for loss in losses:
            best, since = (loss, 0) if loss < best else (best, since + 1)
            if since >= self.patience:
                drops, since = drops + 1, 0
        return drops


@_word("schedule", "cosine")
class Cosine(Schedule):
    """Half a cosine from the optimizer's `lr` to `final` times it at the budget's end, after a rise over `warmup`.

    Source: Loshchilov & Hutter 2017 (arXiv:1608.03983), eq. 5, without restarts.
    """

    warmup: Count = parameter("count", _NONE)
    final: float = parameter("float", 0.0, low=0, high=1)

    def risen(self, now: Moment) -> Any:
        return self.final + (1 - self.final) * (1 + now.maths.cos(math.pi * now.since(self.warmup))) / 2


@_word("schedule", "linear")
class Linear(Schedule):
    """A straight line from the optimizer's `lr` to `final` times it at the budget's end, after a rise over `warmup`.

    With a long warm-up it is the triangle of a one-cycle schedule (Smith 2018, arXiv:1803.09820).
    """

    warmup: Count = parameter("count", _NONE)
    final: float = parameter("float", 0.0, low=0, high=1)

    def risen(self, now: Moment) -> Any:
        return self.final + (1 - self.final) * (1 - now.since(self.warmup))


# --- the rest --------------------------------------------------------------------------------------


@_word("loss", "cross_entropy")
class CrossEntropy(Word):
    """Cross-entropy of the logits; `smoothing` is the part of each target that is spread over all classes.

    Source of smoothing: Szegedy et al. 2016 (arXiv:1512.00567), section 7.
    """

    smoothing: float = parameter("float", 0.0, low=0, high=0.999999)


_RISE = 9  # the larger, the slower an average's decay rises


@_word("average", "ema")
class Ema(Word):
    """A moving average of the weights and running statistics, avg = d*avg + (1 - d)*w after each step; it is what is
    evaluated and kept. d rises with the steps n taken before, n/(n + 9), up to `decay`, so that the average of a short
    training does not hang on its first steps.

    Source: TensorFlow's `ExponentialMovingAverage` with `num_updates`, from the second step on.
    """

    decay: float = parameter("float", 0.999, low=0, high=0.9999999)

    def at(self, step: Any, smaller: Callable[[Any, Any], Any] = min) -> Any:
        """d in a step, counted from 0: a number, or a tensor where `smaller` compares them; 0 in the first."""
        return smaller(step / (step + _RISE), self.decay)

    @property
    def rises(self) -> int:
        """Steps after which d is `decay`."""
        return 1 + math.ceil(round(_RISE * self.decay / (1 - self.decay), 6))


@_word("stop", "early")
class Early(Word):
    """End the training when `patience` epochs in a row brought no higher top-1 on the held-out images."""

    patience: int = parameter("int", low=1)


LINES["budget"] = {}  # `steps(n)` or `epochs(n)`: a Count
LINES["batch"] = {}  # a whole number
