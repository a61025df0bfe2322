"""How much is tested: everything, or what takes no minutes."""

from __future__ import annotations

import os

__all__ = ["HEAVY"]

HEAVY = os.environ.get("ARCHDSL_TEST_PROFILE") == "all"  # `make test-all`
