"""`expect` lines: what a model promises of itself, at its declared defaults and input."""

from fractions import Fraction

from archdsl.graph.cost import Cost, cost
from archdsl.graph.elaborate import Contract
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import Diagnostic
from archdsl.language.errors.models import ContractBroken
from archdsl.language.expr import OPERATORS
from archdsl.language.types import Dim

__all__ = ["hold"]

_MEMORY = {"train": "train_bytes", "infer": "infer_bytes"}


def hold(graph: Graph, contracts: tuple[Contract, ...]) -> list[Diagnostic]:
    """The contracts that `graph`, elaborated at its defaults, does not keep.

    >>> from archdsl.graph.elaborate import load
    >>> from archdsl.language.source import Source
    >>> from archdsl.graph.elaborate import elaborate
    >>> program = load(Source("net.arch", "model net { input [3]; head: dense(2); expect macs < 6 }"))
    >>> result = elaborate(program, "net")
    >>> [found.label for found in hold(result.graph, result.contracts)]
    ['macs is 6, expected < 6']
    """
    if not contracts:
        return []
    whole = cost(graph)
    found = (_check(graph, contract, whole) for contract in contracts)
    return [diagnostic for diagnostic in found if diagnostic is not None]


def _check(graph: Graph, contract: Contract, whole: Cost) -> Diagnostic | None:
    node = contract.node
    found, wanted = _measure(whole, contract), Fraction(contract.value.value)
    if node.op == "within":
        ok = abs(found - wanted) <= abs(wanted) * (node.tolerance or 0)
    else:
        ok = bool(OPERATORS[node.op].of((found, wanted)))
    if ok:
        return None
    end = node.args[-1].span.end + 1 if node.args else node.quantity.span.end
    quantity = node.span.source.span(node.quantity.span.start, end).text
    relation = f"within {node.tolerance_text} of " if node.op == "within" else "" if node.op == "==" else f"{node.op} "
    off = f"it is {float((found - wanted) / wanted):+.3%} off" if abs(found - wanted) < wanted else ""
    return ContractBroken(graph.block, quantity, f"{found:,}", relation + _shown(wanted), off).at(node.span)


def _measure(whole: Cost, contract: Contract) -> int:
    name, args = contract.node.quantity.name, contract.args
    if name != "memory":
        return int(getattr(whole, name))
    batch, dtype = args["batch"], args["dtype"]
    assert isinstance(batch, Dim) and isinstance(dtype, str)
    return int(getattr(whole.of(int(batch), dtype), _MEMORY[str(args["which"])]))


def _shown(value: Fraction) -> str:
    return f"{int(value):,}" if value.denominator == 1 else f"{float(value):,}"
