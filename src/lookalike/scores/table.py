"""Every score by name: adding one is one class and one entry."""

from __future__ import annotations

from collections.abc import Mapping

from .base import Score
from .codes import CodeDistance, Mahalanobis
from .density import Likelihood, Ratio, Typicality
from .errors import Critic, Reconstruction
from .items import Crowd, Forest, Neighbours

SCORES: Mapping[str, type[Score]] = {
    "mahalanobis": Mahalanobis,
    "code-distance": CodeDistance,
    "reconstruction": Reconstruction,
    "likelihood": Likelihood,
    "typicality": Typicality,
    "ratio": Ratio,
    "critic": Critic,
    "neighbours": Neighbours,
    "crowd": Crowd,
    "forest": Forest,
}
