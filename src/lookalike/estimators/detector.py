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

import inspect
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import OutlierMixin
from torch import Tensor

from ..data.base import Data, InMemory, Split
from ..errors import UserError
from ..models.base import Model
from ..run import Run
from ..tasks._common import open_run_data
from ..tasks.anomaly import FITTED, HELD_OUT, fitted
from ..tasks.detect import detect
from .base import Learner, Rows
from .learning import alike, of_each

KNOWN = ("train", "held_out")
"""Rows that the scores are fitted on."""

RECIPE: str = inspect.signature(detect).parameters["recipe"].default


@dataclass(kw_only=True, eq=False, repr=False)
class Detector(OutlierMixin, Learner):
    """Finds the odd rows.

    Arguments:
        recipe: what is trained; by default what `lookalike detect` trains.
        scores: names of scores, averaged by rank, as `lookalike catalog --what scores` lists them; None for those
            that suit the model.
        contamination: share of outliers in what it is fitted on, or auto.
        false_alarms: with auto, the share of normal rows that may be taken for outliers.
        Others: as `Learner`.

    Attributes:
        offset_: what `score_samples` is for a row that is just no outlier.
        detector_: of `lookalike.scores`, whose `left_out` says which scores the model cannot give, and why.
    """

    families: ClassVar = ("autoencoder", "approximate", "implicit", "tractable")
    capable: ClassVar = (Model,)

    recipe: str = RECIPE
    scores: tuple[str, ...] | None = None
    contamination: float | Literal["auto"] = "auto"
    false_alarms: float = 0.01

    def fit(self, X: Any, y: Any = None) -> Self:
        """As `Learner.fit`; of what is flagged, nothing is left out of the training."""
        if self.contamination != "auto" and not 0 < self.contamination <= 0.5:
            raise UserError(f"contamination must be auto, or above 0 and at most 0.5, but is {self.contamination!r}.")
        if not 0 <= self.false_alarms <= 1:
            raise UserError(f"false_alarms must be from 0 to 1, but is {self.false_alarms!r}.")
        X, data = self._learn(X)
        held_out = data.valid if len(data.valid) else data.train
        self.known_ = {"train": _first(data.train, FITTED), "held_out": _first(held_out, HELD_OUT)}
        self._watch()
        self.offset_ = self._offset(X)
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

    def p_values(self, X: Any) -> Rows:
        """The chance that a row like those of `fit` is at least as odd, shape (N,).

        Flagging what has p <= a flags a share a of such rows.
        """
        return self._judged(X)[:, 1]

    def explain(self, X: Any) -> Rows:
        """What each column adds to how odd a row is, shape (N, D), in the unit of the first score that says."""
        x = self._enter(X)
        parts = self.detector_.parts(x)
        if parts is None:
            raise UserError(f"none of the scores {', '.join(self.detector_.scores)} says which columns are odd.")
        return parts.numpy()

    def _judged(self, X: Any) -> Rows:
        """(total, p) of each row, shape (N, 2)."""
        x = self._enter(X)

        def of(part: Tensor) -> Tensor:
            found = self.detector_(part)
            return torch.stack([found.total, found.p], dim=1)

        return of_each(self._exact, x, of, self.seed_).numpy()

    def _watch(self) -> None:
        """Fit the scores on the rows that are known."""
        train, held_out = (Split(InMemory(torch.from_numpy(rows))) for rows in self.known_.values())
        data = Data("X", self.spec_, train, held_out, held_out)
        with alike(self._exact, self.seed_):
            self.detector_ = fitted(self._exact, data, self.scores, self.seed_)

    def _offset(self, X: Any) -> float:
        if self.contamination != "auto":
            return float(np.percentile(self.score_samples(X), 100 * self.contamination))
        totals = self.detector_.totals  # sorted
        allowed = int(self.false_alarms * (len(totals) + 1)) - 1  # held-out rows that may be at least as odd
        return -totals[-1 - min(max(allowed, 0), len(totals) - 1)].item()

    def _take_up(self, run: Run, rows: dict[str, Any]) -> None:
        if not rows:  # of a run that `lookalike train` made
            data = open_run_data(run)
            rows = {"train": _first(data.train, FITTED), "held_out": _first(data.valid, HELD_OUT)}
        self.known_ = {name: rows[name] for name in KNOWN}
        self._watch()
        if not hasattr(self, "offset_"):
            self.offset_ = self._offset(None)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("detector_", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "model_"):
            self._watch()


def _first(split: Split, n: int) -> Rows:
    """n rows spread evenly over a split, shape (n, D)."""
    rows: Rows = split.thinned(n).first(n)[0].numpy()
    return rows
