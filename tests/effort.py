"""How much is tested: everything, what takes no minutes, or what each of many broken copies can be tried on."""

import os

__all__ = ["FEW", "HEAVY"]

HEAVY = os.environ.get("ARCHDSL_TEST_PROFILE") == "all"  # `make test-all`; what reads it is marked `more`
FEW = os.environ.get("ARCHDSL_TEST_PROFILE") == "few"  # `make mutate`
