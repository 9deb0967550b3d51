"""Shared test settings: how hard Hypothesis looks, and readable asserts in the shipped suites."""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

pytest.register_assert_rewrite("aiba_domain.testing.contracts")

# No profile has a deadline: a busy machine must not turn a true property into a failure.
settings.register_profile("dev", deadline=None, print_blob=True)
# The same examples each time, so that a change is judged by what it changed.
settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
# `make soak`: new examples each time; pytest prints the seed that repeats them.
settings.register_profile(
    "soak",
    deadline=None,
    database=None,
    max_examples=2_000,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if "CI" in os.environ else "dev")
)
