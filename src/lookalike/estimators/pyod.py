"""Detectors with the names and signs that a user of PyOD knows: larger is *more abnormal*, 1 is an outlier.

                     scikit-learn (`Detector`)                PyOD (here)
    decision_function    larger is more normal, 0 the border    larger is more abnormal, `threshold_` the border
    predict              -1 for an outlier, +1 else             1 for an outlier, 0 else
    of fit's rows        offset_                                decision_scores_, threshold_, labels_

The opposite signs are why these are classes of their own and not further names of `Detector`.

    from pyod.models.auto_encoder import AutoEncoder        ->    from lookalike.estimators.pyod import AutoEncoder

What a network is made of and how it is trained has our names, not PyOD's (`hidden_neuron_list`, `epoch_num`, ...).
Zhao, Nasrullah & Li (2019), "PyOD", JMLR 20(96). Probabilities: Kriegel et al. (2011), "Interpreting and unifying
outlier scores", SDM; confidence: Perini et al. (2020), "Quantifying the confidence of anomaly detectors", ECML.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import UserError
from ..models.base import Encoder
from ..run import Run
from .base import Rows
from .odd import Judge

OUTLIERS = 0.1
"""The share that PyOD takes for outliers unless it is told."""


@dataclass(kw_only=True, eq=False, repr=False)
class PyOD(Judge):
    """PyOD's conventions.

    Attributes:
        decision_scores_: how odd the rows of `fit` are, shape (N,).
        threshold_: the score above which a row is an outlier: a share `contamination` of `decision_scores_` is.
        labels_: 1 for the outliers among them, 0 else.
    """

    contamination: float = OUTLIERS

    def fit(self, X: Any, y: Any = None, outliers: Any = None) -> Self:
        """Train on X, and score it.

        Arguments:
            outliers: rows known to be odd, a few will do, that weigh the scores; shape (M, D).
        """
        if not 0 < self.contamination <= 0.5:
            raise UserError(f"contamination must be above 0 and at most 0.5, but is {self.contamination!r}.")
        self._count(self._judged(self._judge(X, outliers))[:, 0])
        return self

    def decision_function(self, X: Any) -> Rows:
        """How odd each row is, shape (N,): larger is more abnormal."""
        return self._judged(X)[:, 0]

    def predict(self, X: Any, return_confidence: bool = False) -> Any:
        """1 for an outlier, 0 else, shape (N,); with the confidence of each if asked."""
        scores = self.decision_function(X)
        labels = (scores > self.threshold_).astype(np.int64)
        return (labels, self._confidence(scores)) if return_confidence else labels

    def fit_predict(self, X: Any, y: Any = None) -> NDArray[np.int64]:
        """`labels_` of X."""
        return self.fit(X).labels_

    def predict_proba(
        self, X: Any, method: Literal["linear", "unify"] = "linear", return_confidence: bool = False
    ) -> Any:
        """The probabilities of a normal row and of an outlier, shape (N, 2).

        They order rows as the scores do, and are no more calibrated than PyOD's: what is, is `p_values`.

        Arguments:
            method: linear puts the scores of `fit` from 0 to 1; unify takes them for normally distributed.
            return_confidence: give the confidence of each prediction too.
        """
        from scipy.special import erf

        scores = self.decision_function(X)
        if method == "linear":
            low, high = self.decision_scores_.min(), self.decision_scores_.max()
            odd = (scores - low) / max(high - low, 1e-300)
        elif method == "unify":
            odd = erf((scores - self.decision_scores_.mean()) / max(self.decision_scores_.std() * 2**0.5, 1e-300))
        else:
            raise UserError(f"method must be linear or unify, but is {method!r}.")
        odd = odd.clip(0, 1)
        probs = np.stack([1 - odd, odd], axis=1)
        return (probs, self._confidence(scores)) if return_confidence else probs

    def predict_confidence(self, X: Any) -> Rows:
        """The chance that the same is predicted of a row after a fit on other rows of the kind, shape (N,)."""
        return self._confidence(self.decision_function(X))

    def _confidence(self, scores: Rows) -> Rows:
        from scipy.stats import binom

        n = len(self.decision_scores_)
        below = np.searchsorted(np.sort(self.decision_scores_), scores, side="right")
        flagged = 1 - binom.cdf(n - int(n * self.contamination), n, (1 + below) / (2 + n))
        confidence: Rows = np.where(scores > self.threshold_, flagged, 1 - flagged)
        return confidence

    def _count(self, scores: Rows) -> None:
        """Take the scores of the rows of `fit`."""
        self.decision_scores_ = scores
        self.threshold_ = float(np.percentile(scores, 100 * (1 - self.contamination)))
        self.labels_ = (scores > self.threshold_).astype(np.int64)

    def _beside(self) -> dict[str, Rows]:
        return {**super()._beside(), "decision_scores": self.decision_scores_}

    def _take_up(self, run: Run, rows: dict[str, Rows]) -> None:
        super()._take_up(run, rows)
        found = rows.get("decision_scores")
        self._count(self._weighed(torch.from_numpy(self.known_["train"]))[:, 0] if found is None else found)


@dataclass(kw_only=True, eq=False, repr=False)
class Detector(PyOD):
    """The default detector.

    Arguments:
        contamination: share of outliers in what it is fitted on.
        Others: as `Judge`.
    """


@dataclass(kw_only=True, eq=False, repr=False)
class AutoEncoder(PyOD):
    """By what an autoencoder loses of a row.

    Arguments:
        latent: numbers in the code.
        hidden: units of each hidden layer of the encoder; the decoder has them in reverse.
        Others: as `Detector`.
    """

    families: ClassVar = ("autoencoder",)
    capable: ClassVar = (Encoder,)
    shapes: ClassVar = ("latent", "hidden")

    recipe: str = "wide-ae"
    scores: tuple[str, ...] | None = ("reconstruction",)
    latent: int | None = None
    hidden: tuple[int, ...] | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class VAE(PyOD):
    """By what a variational autoencoder loses of a row; `scores=("likelihood",)` for its bound on log p(x).

    Arguments:
        latent: numbers in the code.
        width: units of a hidden layer.
        beta: weight of the rate in training.
        Others: as `Detector`.
    """

    families: ClassVar = ("approximate.vae",)
    capable: ClassVar = (Encoder,)
    shapes: ClassVar = ("latent", "width", "beta")

    recipe: str = "vae"
    scores: tuple[str, ...] | None = ("reconstruction",)
    latent: int | None = None
    width: int | None = None
    beta: float | None = None
