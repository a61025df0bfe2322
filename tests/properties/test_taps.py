"""Every node of a network is shown, whatever is written: in blocks, lists, branches and shared flows."""

import numpy as np
import pytest
from graphs import graph_of
from hypothesis import given, settings
from strategies import Spec, specs

from archdsl import api
from archdsl.graph.places import places
from archdsl.train.abilities import PROBE, ability
from archdsl.weights import keys, random_weights

BATCH = 2


def check_shown(spec: Spec, backend: str) -> None:
    """What is not shown ends the probe; it holds that the tapped text computes what the delivered one does."""
    graph = graph_of(spec.text)
    probe = ability(api.find(backend), PROBE)
    generator = np.random.default_rng(0)
    x, cotangent = (
        generator.standard_normal((BATCH, *t.sizes))
        for t in (graph.entries[0].types[0], graph.type_of(graph.outputs[0]))
    )
    found = probe(graph, random_weights(graph, 0, "float64"), (x,), (cotangent,))
    expected = {p.path: [t.sizes for t in p.types] for p in places(graph)}
    assert found.values.keys() == expected.keys()
    for path, shapes in expected.items():
        values = found.values[path]
        shown = [v.shape for v in (values if isinstance(values, tuple) else (values,))]
        assert shown == [(BATCH, *s) for s in shapes] or shown == shapes, path  # a learned tensor has no batch
    assert {k for k, w in keys(graph).items() if not w.trainable} == set(found.state)


@given(specs())
def test_every_node_is_shown(spec: Spec) -> None:
    check_shown(spec, "torch")


@settings(max_examples=max(5, settings.default.max_examples // 20))
@given(specs())
def test_every_node_is_shown_in_keras(spec: Spec) -> None:
    pytest.importorskip("keras")
    check_shown(spec, "keras")
