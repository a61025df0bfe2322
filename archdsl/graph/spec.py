"""What a legal graph is, held once a model is built. An illegal graph is our mistake, never a user's."""

from archdsl.graph.graph import Call, Chain, Graph, Input, Node, Ref, Select, Target, bodies, parts
from archdsl.language.ops.op import Op
from archdsl.language.types import TensorType

__all__ = ["IllegalGraphError", "verify"]

Types = tuple[TensorType, ...]


class IllegalGraphError(AssertionError):
    """A graph that breaks an invariant: a defect of this program."""


def verify(graph: Graph) -> None:
    """Raise IllegalGraphError unless every body of `graph` is legal, each looked at once.

    Legal: inputs name existing outputs of earlier nodes; an op's types are what its shape rule says;
    a call's inputs are its body's entries, its types those of the body's outputs; the steps of
    a chain fit one another; outputs and stages exist; shared weights are used for one and the same op.

    >>> broken = Graph("net", "model", "", {}, tiny.span, outputs=(Ref("head"),))
    >>> verify(broken)
    Traceback (most recent call last):
    archdsl.graph.spec.IllegalGraphError: model net: the output head does not exist
    """
    for body in bodies(graph):
        _verify_body(body)


def _verify_body(body: Graph) -> None:
    earlier: set[str] = set()
    shared: dict[str, Node] = {}
    for node in body:
        for part, _ in parts(node.op):
            if isinstance(part, Call):
                wanted = {name for name, share in part.body.shares.items() if share.is_lent}
                _check(part.lent.keys() >= wanted, body, f"{node.name} does not lend what is wanted")
        _check(body.shares.keys() >= {*body.lends(node)}, body, f"{node.name} lends what is not shared")
        for port, ref in body.inputs(node.name).items():
            _check(ref.node in earlier, body, f"{node.name}.{port} reads {ref.node}, which does not come before it")
            _check_ref(body, ref)
        _check(len(node.types) > 0, body, f"{node.name} has no output")
        _verify_types(body, node)
        if node.shared is not None:
            first = shared.setdefault(node.shared, node)
            _check(_same_kind(first.op, node.op), body, f"{node.shared} is shared by different ops")
            _check(node.shared in body.shares, body, f"nothing is known of {node.shared}")
        earlier.add(node.name)
    _check(len(body.outputs) > 0, body, "there is no output")
    for ref in (*body.outputs, *body.stages.values()):
        _check(ref.node in body, body, f"the output {ref.node} does not exist")
        _check_ref(body, ref)


def _check(holds: bool, body: Graph, sentence: str) -> None:
    if not holds:
        raise IllegalGraphError(f"{body.kind} {body.block}: {sentence}")


def _check_ref(body: Graph, ref: Ref) -> None:
    _check(0 <= ref.output < len(body[ref.node].types), body, f"{ref.node} has no output {ref.output}")


def _verify_types(body: Graph, node: Node) -> None:
    inputs = body.inputs(node.name)
    given = body.input_types(node.name)
    if isinstance(node.op, Input):
        _check(not inputs, body, f"{node.name} is an input and reads something")
        return
    if isinstance(node.op, Call):
        _check(set(inputs) == {e.name for e in node.op.body.entries}, body, f"{node.name} does not fill the inputs")
        given = tuple(body.type_of(inputs[e.name]) for e in node.op.body.entries)
    found = given if isinstance(node.op, Select) else _result(body, node, node.op, given)
    _check(found == node.types, body, f"{node.name} is {_show(node.types)}, its rule says {_show(found)}")


def _result(body: Graph, node: Node, target: Target, given: Types) -> Types:
    if isinstance(target, Op):
        found = target.shape(*given)
        return found if isinstance(found, tuple) else (found,)
    if isinstance(target, Call):
        callee = target.body
        wanted = tuple(e.types[0] for e in callee.entries)
        _check(given == wanted, body, f"{node.name} gives {_show(given)} to {_show(wanted)}")
        return tuple(callee.type_of(ref) for ref in callee.outputs)
    return _chain_result(body, node, target, given)


def _chain_result(body: Graph, node: Node, chain: Chain, given: Types) -> Types:
    for step in chain.steps:
        _check(step.count > 0, body, f"{node.name} has an empty step")
        for _ in range(min(step.count, 2)):
            given = _result(body, node, step.target, given)
        _check(given == step.types, body, f"{node.name}: a step is {_show(step.types)}, its rule says {_show(given)}")
    _check(
        chain.times is None or int(chain.times) == chain.length, body, f"{node.name} repeats another number of times"
    )
    return given


def _same_kind(a: object, b: object) -> bool:
    if isinstance(a, Call) and isinstance(b, Call):
        return a.block == b.block
    return type(a) is type(b)


def _show(types: Types) -> str:
    return ", ".join(str(t) for t in types)
