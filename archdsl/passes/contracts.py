"""`expect` lines: what a model promises of itself, at its declared defaults and input."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from archdsl.diagnostics import Diagnostic
from archdsl.elaborate import Contract, Program, elaborate
from archdsl.errors.models import BadContract, ContractBroken
from archdsl.ir.graph import Graph
from archdsl.passes.cost import cost
from archdsl.types import Dim

__all__ = ["check_contracts", "hold"]

_COUNTS = ("params", "macs", "state")
_MEMORY = {"train": "train_bytes", "infer": "infer_bytes"}
_DTYPES = ("float32", "bfloat16", "float16", "float64")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def check_contracts(program: Program, model: str) -> list[Diagnostic]:
    """The contracts of `model` that do not hold. They speak of its defaults, whatever is set from outside."""
    result = elaborate(program, model)
    return [] if result.graph is None else hold(result.graph, result.contracts)


def hold(graph: Graph, contracts: tuple[Contract, ...]) -> list[Diagnostic]:
    """The contracts that `graph`, elaborated at its defaults, does not keep."""
    found = []
    for contract in contracts:
        diagnostic = _check(graph, contract)
        if diagnostic is not None:
            found.append(diagnostic)
    return found


def _check(graph: Graph, contract: Contract) -> Diagnostic | None:
    node = contract.node
    problem = _problem(contract)
    if problem:
        return BadContract(problem).at(node.quantity.span)
    found, wanted = _measure(graph, contract), Fraction(contract.value.value)
    if node.op == "within":
        ok = abs(found - wanted) <= abs(wanted) * (node.tolerance or 0)
    else:
        ok = _COMPARE[node.op](found, wanted)
    if ok:
        return None
    quantity = node.quantity.span.text.strip()
    relation = f"within {node.tolerance_text} of " if node.op == "within" else "" if node.op == "==" else f"{node.op} "
    off = f"it is {float((found - wanted) / wanted):+.3%} off" if wanted else ""
    return ContractBroken(graph.block, quantity, f"{found:,}", relation + _shown(wanted), off).at(node.span)


def _problem(contract: Contract) -> str:
    """What makes a contract meaningless; empty where it has a meaning."""
    name, args = contract.node.quantity.name, contract.args
    if name in _COUNTS:
        return f"`{name}` takes no arguments" if args else ""
    if name != "memory":
        return f"nothing is known of `{name}`"
    if args.get("0") not in _MEMORY:
        return "`memory` wants to know which: `memory(train)` or `memory(infer)`"
    if set(args) - {"0", "batch", "dtype"}:
        return f"`memory` has no `{sorted(set(args) - {'0', 'batch', 'dtype'})[0]}`"
    batch = args.get("batch", Dim(1))
    if not isinstance(batch, Dim) or not batch.is_int or batch.value < 1:
        return "`batch` is a whole number from 1"
    return (
        "" if args.get("dtype", "float32") in _DTYPES else "`dtype` is one of " + ", ".join(f'"{d}"' for d in _DTYPES)
    )


def _measure(graph: Graph, contract: Contract) -> int:
    name, args = contract.node.quantity.name, contract.args
    if name in _COUNTS:
        return int(getattr(cost(graph), name))
    batch, dtype = args.get("batch", Dim(1)), args.get("dtype", "float32")
    assert isinstance(batch, Dim) and isinstance(dtype, str)
    return int(getattr(cost(graph, int(batch), dtype), _MEMORY[str(args["0"])]))


def _shown(value: Fraction) -> str:
    return f"{int(value):,}" if value.denominator == 1 else f"{float(value):,}"
