"""The default anomaly detector: a model is trained on rows, and says how odd rows are to it.

    score_samples       -total, where total is how odd `lookalike.scores` finds a row
    decision_function   score_samples - offset_       larger is more normal, below 0 an outlier, as scikit-learn has it
    predict             -1 for an outlier, +1 else

    contamination       offset_
    "auto"              a row like those of `fit` is taken for an outlier with a chance of `false_alarms`, counted on
                        rows held out (a conformal p-value); of few rows, only what is odder than all of them
    a number            that share of the rows of `fit` are outliers

PyOD has the opposite sign: `lookalike.estimators.pyod`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import OutlierMixin

from ..errors import UserError
from ..run import Run
from .base import Rows
from .odd import Judge


@dataclass(kw_only=True, eq=False, repr=False)
class Detector(OutlierMixin, Judge):
    """Finds the odd rows.

    Arguments:
        contamination: share of outliers in what it is fitted on, or auto.
        false_alarms: with auto, the share of normal rows that may be taken for outliers.
        Others: as `Judge`.

    Attributes:
        offset_: what `score_samples` is for a row that is just no outlier.
        detector_: of `lookalike.scores`, whose `left_out` says which scores the model cannot give, and why.
    """

    contamination: float | Literal["auto"] = "auto"
    false_alarms: float = 0.01

    def fit(self, X: Any, y: Any = None, outliers: Any = None) -> Self:
        """Train on X, as the other estimators are; what is flagged is not left out of it.

        There are no sample weights: how odd is odd is counted, and a count of rows that weigh differently says
        nothing of the share of rows that will be flagged.

        Arguments:
            outliers: rows known to be odd, a few will do, that weigh the scores; shape (M, D).
        """
        if self.contamination != "auto" and not 0 < self.contamination <= 0.5:
            raise UserError(f"contamination must be auto, or above 0 and at most 0.5, but is {self.contamination!r}.")
        if not 0 <= self.false_alarms <= 1:
            raise UserError(f"false_alarms must be from 0 to 1, but is {self.false_alarms!r}.")
        X = self._judge(X, outliers)
        if self.contamination == "auto":
            self.offset_ = self._allowed()
        else:
            self.offset_ = float(np.percentile(self.score_samples(X), 100 * self.contamination))
        return self

    def score_samples(self, X: Any) -> Rows:
        """How normal each row is, shape (N,): larger is more normal."""
        return -self._judged(X)[:, 0]

    def decision_function(self, X: Any) -> Rows:
        """`score_samples` less `offset_`, shape (N,): larger is more normal, below 0 is an outlier."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:
        """-1 for an outlier, +1 else, shape (N,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _allowed(self) -> float:
        """The offset at which `false_alarms` of the rows held out, or none of few, are flagged."""
        totals = self.detector_.totals  # sorted
        as_odd = int(self.false_alarms * (len(totals) + 1)) - 1
        return -totals[-1 - min(max(as_odd, 0), len(totals) - 1)].item()

    def _take_up(self, run: Run, rows: dict[str, Rows]) -> None:
        super()._take_up(run, rows)
        if not hasattr(self, "offset_"):
            self.offset_ = self._allowed()
