"""What detectors share: a model, the scores of `lookalike.scores` fitted on rows they know, and how odd a row is.

The scores' own state is no part of a saved detector: the rows are, and the scores are fitted on them anew, which gives
the same to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..data.base import Data, InMemory, Split
from ..errors import UserError
from ..models.base import Model
from ..run import Run
from ..tasks._common import open_run_data
from ..tasks.anomaly import FITTED, HELD_OUT, fitted
from ..tasks.detect import RECIPES
from .base import Learner, Rows
from .learning import alike, of_each

RECIPE = RECIPES["table"]
KNOWN = ("train", "held_out")
"""Rows that the scores are fitted on, and rows that say how odd is odd."""


@dataclass(kw_only=True, eq=False, repr=False)
class Judge(Learner):
    """Tells how odd rows are.

    Arguments:
        recipe: what is trained; by default what `lookalike detect` trains.
        scores: names of scores, put together as `lookalike anomaly` does; `lookalike catalog --what scores` lists them,
            and None takes those that suit the model.
        Others: as `Learner`; of the rows held out is counted how odd is odd.
    """

    families: ClassVar[tuple[str, ...]] = ("autoencoder", "approximate", "implicit", "tractable")
    capable: ClassVar[tuple[type, ...]] = (Model,)
    strange: ClassVar = True

    recipe: str = RECIPE
    scores: tuple[str, ...] | None = None

    def explain(self, X: Any) -> Rows:
        """What each column adds to how odd a row is, shape (N, D), as the scores that tell have it; each row sums to 1.

        Raises:
            ValueError: no score tells.
        """
        x = self._enter(X)
        with alike(self._exact, self.seed_):
            parts = self.detector_.parts(x)
        if parts is None:
            raise UserError(f"none of the scores {', '.join(self.detector_.scores)} tells which columns are odd.")
        rows: Rows = parts.numpy()
        return rows

    def p_values(self, X: Any) -> Rows:
        """The chance that a row like those of `fit` is at least as odd, shape (N,).

        Flagging what has p <= a flags a share a of such rows.
        """
        return self._judged(X)[:, 1]

    def _judge(self, X: Any, outliers: Any) -> Any:
        """Train, and take the rows that the scores are fitted on; gives X as it was taken."""
        X, data = self._learn(X)
        held_out = data.valid if len(data.valid) else data.train
        self.known_ = {"train": _first(data.train, FITTED), "held_out": _first(held_out, HELD_OUT)}
        if outliers is not None:
            self.known_["outliers"] = self._enter(outliers).numpy()
        self._watch()
        return X

    def _judged(self, X: Any) -> Rows:
        """How odd each row is, and p, shape (N, 2)."""
        return self._weighed(self._enter(X))

    def _weighed(self, x: Tensor) -> Rows:
        """The same of rows as the model takes them."""

        def of(part: Tensor) -> Tensor:
            found = self.detector_(part)
            return torch.stack([found.total, found.p], dim=1)

        rows: Rows = of_each(self._exact, x, of, self.seed_).numpy()
        return rows

    def _watch(self) -> None:
        """Fit the scores on the rows that are known."""
        train, held_out = (Split(InMemory(torch.from_numpy(self.known_[name]))) for name in KNOWN)
        data = Data("X", self.spec_, train, held_out, held_out)
        with alike(self._exact, self.seed_):
            outliers = torch.from_numpy(self.known_["outliers"]) if "outliers" in self.known_ else None
            self.detector_ = fitted(self._exact, data, self.scores, self.seed_, outliers)

    def _beside(self) -> dict[str, Rows]:
        return self.known_

    def _take_up(self, run: Run, rows: dict[str, Rows]) -> None:
        if lacking := {*KNOWN} - {*rows} if rows else None:
            raise UserError(f"{run.path} lacks rows of the estimator ({', '.join(lacking)}). Restore it from a copy.")
        if not rows:  # of a run that `lookalike train` made
            data = open_run_data(run)
            rows = {"train": _first(data.train, FITTED), "held_out": _first(data.valid, HELD_OUT)}
        self.known_ = {name: rows[name] for name in (*KNOWN, "outliers") if name in rows}
        self._watch()

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
