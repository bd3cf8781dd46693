"""One thread a worker: two OpenMP threads on a busy machine can make a 40 ms step take seconds."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


# How fast numbers are thought up says nothing on a machine that others use too.
settings.register_profile("lookalike", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lookalike")
