"""What one step computes: a network with its recipe, as a `keras.Model` that `fit` trains."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from itertools import chain
from operator import add
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from archdsl.data import Normalise
from archdsl.graph.graph import Graph
from archdsl.language.recipe import Recipe, Term
from archdsl.language.recipe.recipe import draw_seed
from archdsl.weights import keys
from archdsl_keras.augment import Augment, Mix, Normal
from archdsl_keras.optimizers import average_all, make_optimizer
from archdsl_keras.weights import variables

__all__ = ["TrainStep"]

_DRAWS = 256  # numbers of a generator that a step has for itself, so that no two steps share any


class TrainStep(keras.Model):  # type: ignore[misc]  # Keras has no types
    """Reads uint8 images [n, c, h, w] and gives logits; in training it reads labels too, and gives targets.

    Augmentation works on pixels in 0..1, before normalisation: the padding of a crop is black. All that is drawn in a
    step depends on the seed and the step's number alone.
    in_memory: whether the images of the training are kept decoded (see `Augment`).
    """

    def __init__(self, network: keras.Model, graph: Graph, recipe: Recipe, normalise: Normalise, seed: int,
                 in_memory: bool = True) -> None:  # fmt: skip
        super().__init__(dtype="float32")
        self.network, self.graph, self.recipe, self.seed = network, graph, recipe, seed
        self.normal = Normal(normalise)
        self.classes = int(graph.type_of(graph.outputs[0]).c)
        self.names = graph.output_names  # of the main output first
        self.draws = keras.random.SeedGenerator(seed)
        self.augment, self.mix = Augment(recipe, in_memory, self.draws), Mix(recipe, self.draws)
        self.top1 = keras.metrics.SparseCategoricalAccuracy(name="top1")
        self.steps = self._own((), "steps", dtype="int32")
        self.sums = self._own((4,), "sums")  # of loss and top-1, while Keras keeps a state
        averaged = self._statistics() if recipe.average else []
        self.averages = [self._own(s.shape, f"average_{n}") for n, s in enumerate(averaged)]
        self.built = True  # the network is, and nothing else has weights

    def _own(self, shape: Sequence[int], name: str, dtype: str = "float32") -> Any:
        return self.add_weight(shape, "zeros", dtype, trainable=False, name=name)

    def prepare(self, per_epoch: int, jit: bool | str, scaled: bool) -> None:
        """Compile for training. per_epoch: steps of an epoch. jit: with XLA. scaled: the loss, as float16 needs it."""
        weights = self.network.trainable_variables
        optimizer = make_optimizer(self.recipe, per_epoch, weights, self._decaying())
        if scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            optimizer.build(weights)
        self.compile(optimizer, jit_compile=jit)

    def _decaying(self) -> Sequence[Any]:
        """Of one axis are biases and the scales of norms; axes are those of the spec."""
        found, everything = variables(self.network, self.graph), self.recipe.optimizer.decay == "all"
        return [found[key] for key, weight in keys(self.graph).items() if everything or len(weight.shape) > 1]

    @property
    def inner(self) -> Any:
        """The recipe's optimizer, without what scales the loss."""
        return getattr(self.optimizer, "inner_optimizer", self.optimizer)

    def call(self, x: Any, training: bool = False) -> Any:
        # JAX's `fit` comes past `__call__`, which would tell the network whether it trains
        if not training:
            return self._logits(self.normal(_pixels(x)), training)[self.names[0]]
        images, labels = x
        mixed, targets = self.prepared(images, labels)
        logits = self._logits(mixed, training)
        if self.averages and self.recipe.average:
            keep = self.recipe.average.at(ops.cast(self.steps, "float32"), ops.minimum)
            average_all(zip(self.averages, self._statistics(), strict=True), keep)
        self.steps.assign(self.steps + 1)
        return {"logits": logits, "targets": targets}

    def prepared(self, images: Any, labels: Any) -> tuple[Any, Any]:
        """What the network reads in step `steps` for a batch, and the targets [n, classes], before any smoothing."""
        for number, state in enumerate(self._generators()):
            start = draw_seed(self.seed, number) % 2**31
            state.assign(ops.stack([ops.cast(start, state.dtype), ops.cast(self.steps, state.dtype) * _DRAWS]))
        targets = ops.one_hot(labels, self.classes)
        mixed: tuple[Any, Any] = self.mix(self.normal(self.augment(_pixels(images))), targets)
        return mixed

    def _logits(self, images: Any, training: bool) -> dict[str, Any]:
        """Of each output, by name."""
        found = self.network(images, training=training)
        named = found if isinstance(found, dict) else {self.names[0]: found}
        return {name: ops.cast(ops.reshape(y, (-1, self.classes)), "float32") for name, y in named.items()}

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None,
                     training: bool = True) -> Any:  # fmt: skip
        return reduce(add, (term.weight * self._term(term, y_pred) for term in self.recipe.loss))

    def _term(self, term: Term, y_pred: Any) -> Any:
        smoothing, name = term.word.smoothing, term.output if term.output in self.names else self.names[0]
        targets = y_pred["targets"] * (1 - smoothing) + smoothing / self.classes
        return ops.mean(ops.categorical_crossentropy(targets, y_pred["logits"][name], from_logits=True))

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Top-1 by each image's own label, also where images are mixed."""
        self.top1.update_state(y, y_pred["logits"][self.names[0]])
        return self.get_metrics_result()

    def _generators(self) -> list[Any]:
        """The states of all that draws: augmentation, dropout, whatever the network has."""
        weights = {id(weight) for weight in self.weights}
        return [variable for variable in self.variables if id(variable) not in weights]

    # --- the moving average, where the recipe has one ---------------------------------------------

    def _statistics(self) -> list[Any]:
        """The running statistics of the network."""
        return list(self.network.non_trainable_weights)

    def _averaged(self) -> Iterator[tuple[Any, Any]]:
        """Each variable of the network with its average."""
        weights = zip(self.network.trainable_variables, self.inner.averages, strict=True)
        return chain(weights, zip(self._statistics(), self.averages, strict=True))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Have the moving average in the network, where the recipe wants one: it is what is evaluated and kept."""
        pairs = list(self._averaged()) if self.recipe.average else []
        kept = [_copy(variable) for variable, _ in pairs]
        for variable, average in pairs:
            variable.assign(_copy(average))
        try:
            yield
        finally:
            for (variable, _), value in zip(pairs, kept, strict=True):
                variable.assign(value)


def _copy(variable: Any) -> NDArray[Any]:
    """PyTorch shares memory with NumPy, and JAX gives it away."""
    return np.array(ops.convert_to_numpy(variable))


def _pixels(images: Any) -> Any:
    """uint8 [n, c, h, w] -> float32 [n, h, w, c] in 0..1."""
    return ops.transpose(ops.cast(images, "float32") / 255, (0, 2, 3, 1))
