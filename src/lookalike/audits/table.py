"""Every audit by name: adding one is one function and one entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .adversarial import apart, clipped, equilibrium, penalties, saturation, spectral
from .autoregressive import cached, causality, chain
from .base import Finding, Subject
from .bound import bounds
from .flow import inverse, log_det
from .kept import averaging, numbers
from .probability import drawn, normalised
from .told import heads
from .use import coldest, companions, completion, saving, seeds

AUDITS: Mapping[str, Callable[[Subject], Finding]] = {
    "causality": causality,
    "chain rule": chain,
    "cached sampling": cached,
    "inverse": inverse,
    "log-determinant": log_det,
    "sums to one": normalised,
    "bounds": bounds,
    "samples follow p(x)": drawn,
    "temperature 0": coldest,
    "seeds": seeds,
    "companions": companions,
    "completion": completion,
    "saving": saving,
    "averaging": averaging,
    "optimiser's numbers": numbers,
    "equilibrium": equilibrium,
    "saturation": saturation,
    "penalties": penalties,
    "pull-away": apart,
    "spectral norm": spectral,
    "clip": clipped,
    "what is told": heads,
}
