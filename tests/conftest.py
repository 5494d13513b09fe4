"""What holds for all tests.

The machine that runs them may be busy with other things: how long an example takes says nothing.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("kelp", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kelp")
