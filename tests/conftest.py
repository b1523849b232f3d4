"""What holds for every test.

Property tests have no clock: how long an example takes says something about the machine of the
moment, not about the code, so nothing may fail for it.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("unhurried")
