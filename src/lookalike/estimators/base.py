"""What every estimator is: a recipe and its numbers as keyword arguments, and after `fit` a model with its spec.

A dataclass, so that the parameters all estimators have are named once; scikit-learn reads them off the signature, and
they are stored as they were given. None leaves a number as the recipe has it for such data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_array, check_is_fitted
from torch import Tensor

from ..data.base import Data
from ..errors import UserError
from ..metrics.likelihood import bits_per_dim
from ..models.base import Bounded, Encoder, Explicit, Model
from ..recipe import Recipe, find, recipes
from ..run import Run
from ..tasks._common import draw
from ..tasks.train import told_of
from ..training.examine import squared_error
from .learning import LOCK, exact, learn, of_each
from .rows import checked, entered, left, opened
from .saving import Saved, restored, stored

SEEDS = 2**31 - 1
DRAWS = 8
"""Of a bound, averaged by importance."""

Rows = NDArray[np.float64]


@dataclass(kw_only=True, eq=False, repr=False)
class Learner(BaseEstimator):
    """A recipe with scikit-learn's interface.

    Arguments:
        recipe: what is trained; `lookalike catalog` lists them.
        steps: updates in all.
        batch_size: rows in one step.
        lr: learning rate.
        options: further options of the recipe and of its training by name, as the flags of `lookalike train` have them.
        validation_fraction: of the rows, held out to keep the weights that were best on them; 0 to train on all.
        device: cpu, cuda, mps, or auto for the best there is.
        random_state: of everything random; an int for the same model each time.
        verbose: whether a line on stderr says how far it is.

    Attributes:
        model_: the trained model, an `nn.Module` in eval mode. spec_: of the data. recipe_: resolved, all spelt out.
        n_steps_: steps made. figures_: measured on the rows held out. seed_: what random_state gave.
        mixed_: whether it was fitted on a frame with words, categories or dates, and gives such frames back.
        n_features_in_, feature_names_in_: as scikit-learn has them.
    """

    families: ClassVar[tuple[str, ...]] = ()
    """Below `lookalike.models`, whose recipes are taken."""
    capable: ClassVar[tuple[type, ...]] = ()
    """What a model must be able to do."""
    shapes: ClassVar[tuple[str, ...]] = ()
    """Parameters that are options of the recipe."""
    strange: ClassVar[bool] = False
    """Whether words and constants that training never saw are looked at."""

    recipe: str = ""
    steps: int | None = None
    batch_size: int | None = None
    lr: float | Mapping[str, float] | None = None
    options: Mapping[str, Any] | None = None
    validation_fraction: float = 0.1
    device: str = "cpu"
    random_state: Any = None
    verbose: bool = False

    def _learn(self, X: Any, sample_weight: Any = None) -> tuple[Any, Data]:
        """Train; gives X as it was taken, and the data."""
        recipe = self._recipe()
        if not 0 <= self.validation_fraction < 1:
            raise UserError(f"validation_fraction must be from 0 to below 1, but is {self.validation_fraction!r}.")
        self.mixed_ = False
        X = checked(self, X, reset=True)
        self.mixed_ = not isinstance(X, np.ndarray)
        self.seed_ = int(check_random_state(self.random_state).randint(SEEDS))
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            sample_weight = torch.from_numpy(np.array(sample_weight))
        data = opened(self, X, self.validation_fraction, self.seed_, sample_weight)
        self.recipe_ = recipe.resolved(data.spec.kind, self._given())
        learnt = learn(self.recipe_, data, self.seed_, self.device, self.verbose)
        if not isinstance(learnt.model, self.capable):
            raise UserError(f"{self.recipe} is not for {type(self).__name__}: its model cannot do what that promises.")
        self.n_steps_, self.figures_ = learnt.steps, learnt.figures
        self.data_ = told_of(data)
        self._hold(learnt.model)
        return X, data

    def _hold(self, model: Model) -> None:
        """Take a trained model."""
        self.model_, self.spec_ = model, model.spec
        self._exact = exact(model)

    def _beside(self) -> dict[str, Rows]:
        """Arrays to save beside the model."""
        return {}

    def _take_up(self, run: Run, rows: dict[str, Rows]) -> None:
        """Take what was saved beside the model; nothing of a run that `lookalike train` made."""

    def _recipe(self) -> Recipe:
        found = find(self.recipe)
        if not is_of(found, self.families):
            fitting = [name for name, recipe in recipes().items() if is_of(recipe, self.families)]
            raise UserError(f"{type(self).__name__} takes one of {', '.join(fitting)}, but recipe is {self.recipe!r}.")
        return found

    def _given(self) -> dict[str, Any]:
        """What the user gave over the recipe's own options and numbers."""
        named = {name: getattr(self, name) for name in ("steps", "batch_size", "lr", *self.shapes)}
        given = {**(self.options or {}), **{name: value for name, value in named.items() if value is not None}}
        # numpy's numbers, as a search over an array of them gives.
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}

    def _enter(self, X: Any) -> Tensor:
        """Rows to be judged as a model takes them, shape (N, D)."""
        check_is_fitted(self)
        return entered(self.spec_, checked(self, X, reset=False), self.mixed_, self.strange)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "model_" in state:
            for name in ("_exact", "spec_", "recipe_"):
                del state[name]
            state["model_"] = stored(self.recipe_, state["model_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        held: Saved | None = state.pop("model_", None)
        super().__setstate__(state)
        if held is not None:
            self.recipe_, model = restored(held)
            self._hold(model)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write it as a run folder, without a pickle: `load` takes it back, and every command takes the run.

        Arguments:
            overwrite: replace the run that is there.

        Raises:
            ValueError: something is there.
        """
        check_is_fitted(self)
        from .folder import save

        return save(self, Path(folder), overwrite)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The estimator that `save` wrote, or one over a run that `lookalike train` made of rows.

        Raises:
            ValueError: there is none, it is damaged, or it is of another kind.
        """
        from .folder import load

        estimator: Self = load(cls, Path(folder))
        return estimator


class Generative(Learner):
    """An estimator whose training is a mean over rows, and so may be a weighted one."""

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train on X.

        Arguments:
            X: an array of numbers, or a frame, whose columns may be words, categories or dates; shape (N, D), gaps NaN.
            y: not looked at; it is here for pipelines.
            sample_weight: how often each row is drawn, shape (N,): in the mean the loss is the weighted one. Columns
                are standardised by all rows that have a weight, each once.

        Raises:
            ValueError: X or a parameter makes no sense; it says what to do.
        """
        self._learn(X, sample_weight)
        return self


class Coder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Generative):
    """An estimator with a code and a way back from it."""

    def transform(self, X: Any) -> Rows:
        """The code of each row, shape (N, latent)."""
        x = self._enter(X)
        encoder = self._encoder()
        return of_each(self._exact, x, encoder.encode, self.seed_).numpy()

    def inverse_transform(self, X: Any) -> Any:
        """The mean of a row given its code: an array of shape (N, D), or a frame where it was fitted on words.

        Arguments:
            X: codes, shape (N, latent), as `transform` gives them.
        """
        check_is_fitted(self)
        z = torch.from_numpy(check_array(X, dtype=np.float64, copy=True))
        if z.shape[1] != self._n_features_out:
            raise UserError(f"X has {z.shape[1]} features, but codes have {self._n_features_out}.")
        encoder, like = self._encoder(), next(self._exact.parameters())
        return left(
            self.spec_, of_each(self._exact, z, lambda z: encoder.decode(z.to(like.dtype)), self.seed_), self.mixed_
        )

    @property
    def _n_features_out(self) -> int:
        return self._encoder().latent

    def _encoder(self) -> Encoder:
        assert isinstance(self._exact, Encoder)
        return self._exact


class Lossy(Coder):
    """A coder without a density: it is as good as what comes back."""

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the mean squared error of rows that went through their code and back, columns in their deviations."""
        x, encoder = self._enter(X), self._encoder()
        error = of_each(self._exact, x, lambda x: squared_error(self._exact, x, encoder.reconstruct(x)), self.seed_)
        return -error.mean().item()


class Dense(Generative):
    """An estimator with a density."""

    def score_samples(self, X: Any) -> Rows:
        """log p(x) of each row in nats, in the units of X, shape (N,): exact."""
        return self._log_prob(X).numpy()

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of `score_samples`, nats a row: larger is better."""
        return self._log_prob(X).mean().item()

    def bits_per_dim(self, X: Any) -> float:
        """The mean of -log p(x) a column, in bits: what the command line reports; smaller is better."""
        return bits_per_dim(self._log_prob(X), self.spec_.dims).mean().item()

    def _log_prob(self, X: Any) -> Tensor:
        x, model = self._enter(X), self._exact
        assert isinstance(model, Explicit)
        if isinstance(model, Bounded) and not model.exact:
            return of_each(model, x, lambda x: model.log_prob(x, samples=DRAWS), self.seed_)
        return of_each(model, x, model.log_prob, self.seed_)


class Drawn(Generative):
    """An estimator that new rows can be drawn from."""

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """New rows: an array of shape (n_samples, D), or a frame where it was fitted on words.

        Arguments:
            random_state: an int for the same rows each time.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise UserError(f"n_samples must be at least 1, but is {n_samples!r}.")
        seed = int(check_random_state(random_state).randint(SEEDS))
        with LOCK, torch.no_grad():
            return left(self.spec_, draw(self.model_, int(n_samples), seed=seed), self.mixed_)


def is_of(recipe: Recipe, families: tuple[str, ...]) -> bool:
    """Whether a recipe is of one of the families, for rows, and asks for no labels."""
    family = recipe.build.__module__.removeprefix("lookalike.models.")
    asks = recipe.options.get("conditional") or recipe.options.get("condition", "none") != "none"
    rows = any(kind != "images" for kind in recipe.kinds)
    return rows and not asks and family.startswith(families)


def parameters_of(estimator: Learner | type[Learner]) -> tuple[str, ...]:
    """Names of all parameters."""
    return tuple(field.name for field in dataclasses.fields(estimator))
