"""What a refusal says: how tests catch diagnostics."""

from collections.abc import Callable

import pytest

from archdsl.language.diagnostics import Diagnostic, SpecError

__all__ = ["mistake", "mistakes"]


def mistakes(work: Callable[[], object]) -> list[Diagnostic]:
    """Everything that `work` is refused for."""
    with pytest.raises(SpecError) as refused:
        work()
    return list(refused.value.diagnostics)


def mistake(work: Callable[[], object]) -> Diagnostic:
    """The only thing that `work` is refused for."""
    (found,) = mistakes(work)
    return found
