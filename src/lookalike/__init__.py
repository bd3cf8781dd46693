"""Lookalike: generative modelling from your own unlabelled data, every family, with numbers to trust.

    >>> import lookalike
    >>> run = lookalike.train("vae", "photos/", out="runs/photos", minutes=10)    # doctest: +SKIP
    >>> lookalike.load(run).sample(16, seed=0)                                    # doctest: +SKIP

Each file of `lookalike.tasks` is a function here and a command of the command line.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from typing import Any

# Before torch loads OpenMP: threads that spin for long while they wait starve each other on a busy machine. With both
# cores shared, a step of a small VAE took 120 to 330 ms of processor time on two such threads and 12 on two that spin
# shortly; on a quiet machine 5, where threads that sleep at once took 7 to 11.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

__version__ = "0.1.0"

# Where a name of the front door lives; nothing is imported before it is asked for, since torch takes seconds.
_HOME = {
    "UserError": "errors",
    "Report": "report",
    "Metric": "report",
    "Recipe": "recipe",
    "Spec": "spec",
    "Run": "run",
    "open_data": "data",
    "load": "run",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    if name in _tasks():
        checked = importlib.import_module(f"{__name__}.options").checked
        return checked(getattr(importlib.import_module(f"{__name__}.tasks.{name}"), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_HOME, *_tasks(), "__version__"])


def _tasks() -> list[str]:
    folder = importlib.import_module(f"{__name__}.tasks").__path__
    return [module.name for module in pkgutil.iter_modules(folder) if not module.name.startswith("_")]
