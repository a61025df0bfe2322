"""Logits of trained weights in evaluation."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from archdsl.code.backend import Artifact
from archdsl.data import Normalise
from archdsl.graph.graph import Graph
from archdsl.language.later import Array, Pixels
from archdsl.language.recipe import Recipe
from archdsl.train.settings import Settings
from archdsl_torch.augment import Normal
from archdsl_torch.build import build
from archdsl_torch.machine import Machine
from archdsl_torch.step import main
from archdsl_torch.weights import set_weights

__all__ = ["logits"]


def logits(artifact: Artifact, graph: Graph, tensors: Mapping[str, Array], batches: Iterator[Pixels],
           normalise: Normalise, settings: Settings) -> NDArray[np.float32]:  # fmt: skip
    """float32 [n, classes] of uint8 batches [b, c, h, w], by the weights `tensors` (keys of `graph`).

    Raises SpecError where the device is missing or its memory too small.
    """
    machine = Machine.of(settings)
    network = build(artifact)
    set_weights(network, graph, tensors)
    network = machine.laid_out(network.to(machine.device)).eval()
    normal = Normal(normalise).to(machine.device)
    found = [torch.empty(0, int(graph.type_of(graph.outputs[0]).c))]
    with torch.inference_mode():
        for pixels in batches:
            images = normal(torch.from_numpy(pixels).to(machine.device) / 255)
            with machine.autocast, machine.diagnosed(Recipe(batch=len(pixels))):
                found.append(main(network(machine.laid_out_images(images))).flatten(1).float().cpu())
    return torch.cat(found).numpy()
