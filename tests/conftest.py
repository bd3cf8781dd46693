"""One thread a worker: two OpenMP threads on a busy machine can make a 40 ms step take seconds."""

from __future__ import annotations

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
