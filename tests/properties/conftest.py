"""How long the property tests look: `fast`, or `all` with ARCHDSL_TEST_PROFILE=all."""

import os

from effort import FEW, HEAVY
from hypothesis import HealthCheck, Phase, settings

_PHASES = [Phase.explicit, Phase.generate]  # shrinking can take minutes
_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example]
settings.register_profile(
    "fast",
    max_examples=30 if FEW else 100,
    deadline=None,
    derandomize=True,
    phases=_PHASES,
    suppress_health_check=_QUIET,
    database=None,
)
settings.register_profile(
    "all",
    max_examples=600,
    deadline=None,
    derandomize=bool(os.environ.get("CI")),  # there, a failure must be of the change that is tested
    suppress_health_check=_QUIET,
)
settings.load_profile("all" if HEAVY else "fast")
