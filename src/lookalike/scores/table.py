"""Every score by name: adding one is one class and one entry."""

from __future__ import annotations

from collections.abc import Mapping

from .base import Score
from .codes import Mahalanobis
from .density import Likelihood, Ratio, Typicality
from .errors import Critic, Reconstruction
from .forest import Forest
from .near import CodeDistance, Crowd, Neighbours, Surface, SurfaceCrowd

SCORES: Mapping[str, type[Score]] = {
    "mahalanobis": Mahalanobis,
    "code-distance": CodeDistance,
    "surface": Surface,
    "surface-crowd": SurfaceCrowd,
    "reconstruction": Reconstruction,
    "likelihood": Likelihood,
    "typicality": Typicality,
    "ratio": Ratio,
    "critic": Critic,
    "neighbours": Neighbours,
    "crowd": Crowd,
    "forest": Forest,
}
