"""Weights of drawn specs: the graph's keys are those of the built network, and what is put in comes back."""

import numpy as np
from hypothesis import given
from strategies import Spec, specs

from archdsl import api
from archdsl.weights import keys, random_weights
from archdsl_torch import BACKEND
from archdsl_torch.weights import state_names


@given(specs())
def test_weights_come_back_by_the_keys_of_the_graph(spec: Spec) -> None:
    graph, _ = api.elaborated(spec.text)
    model, wanted = BACKEND.build(BACKEND.emit(graph)), random_weights(graph, seed=1)
    held = (*model.named_parameters(), *model.named_buffers())  # a module that is lent counts once, as what lends it
    assert {name for name, _ in held} == set(state_names(graph))
    BACKEND.set_weights(model, graph, wanted)
    found = BACKEND.get_weights(model, graph)
    assert list(found) == list(wanted) == list(keys(graph))
    assert all(np.array_equal(found[key], wanted[key]) for key in wanted)
