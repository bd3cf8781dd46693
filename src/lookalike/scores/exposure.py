"""Known outliers, where there are a few: how much each score counts is learnt from them.

    P(odd | x) = sigmoid(w' s(x) + b)           s the scores, and how near x is to a known outlier

fitted on training items and the outliers, each class with half the weight, and w short (ridge). An item is not held
against itself, so a training item counts like a new one.

Hendrycks et al. (2019), "Deep anomaly detection with outlier exposure", arXiv:1812.04606, trains the whole model with
thousands of outliers. Differs from it: the model stays as it is, since a few outliers say which of its scores to
believe, and not what a network should be.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .seen import NEAREST, Seen, Space

RIDGE = 0.1
"""scikit-learn's C: the inverse of how much a weight costs."""


class Exposure:
    """What was learnt of known outliers.

    Arguments:
        seen: of the model.
        x: training items, (N, *spec.shape).
        outliers: (M, *spec.shape), M >= 1.
    """

    def __init__(self, seen: Seen, x: Tensor, outliers: Tensor) -> None:
        self.seen = seen
        self.few = min(NEAREST, max(1, len(outliers) // 2))
        self.space = Space(outliers, seen.every(outliers, seen.items))
        self.usual = torch.median(self.near(x))

    def near(self, x: Tensor) -> Tensor:
        """Mean distance to the few nearest outliers, (N,); an outlier is not held against itself."""

        def of(part: Tensor) -> Tensor:
            distances = self.space.all(self.seen.items(part), part)
            return torch.from_numpy(np.sort(distances, axis=1)[:, : self.few].mean(1))

        return self.seen.every(x, of).clamp(max=1e6)

    def learn(self, normal: Tensor, odd: Tensor) -> None:
        """The weights, from features of training items and of outliers, (N, scores) and (M, scores)."""
        from sklearn.linear_model import LogisticRegression

        s = torch.cat([normal, odd]).numpy()
        y = np.repeat([0, 1], [len(normal), len(odd)])
        self.fitted = LogisticRegression(C=RIDGE, class_weight="balanced", max_iter=1000).fit(s, y)

    def __call__(self, features: Tensor) -> Tensor:
        """The logit of P(odd), (N,)."""
        return torch.from_numpy(self.fitted.decision_function(features.numpy()))
