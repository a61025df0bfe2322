"""Values as they are written in a spec."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

__all__ = ["literal"]


def literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, Fraction):
        value = value.numerator if value.denominator == 1 else float(value)
    text = repr(value)
    return re.sub(r"e-0", "e-", text) if "e" in text else text
