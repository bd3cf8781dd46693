"""What scikit-learn passes, as the toolkit has it, and back.

    an array, or a frame of numbers alone    rows of numbers; NaN is a gap           back as an array
    a frame with words, categories, dates    a table, read as a file of it would be  back as a frame in its own words

What was constant in training has nothing to learn and is not looked at: another value there is no error, as it is for
a file, because a fold of a cross-validation often lacks what the next one has. A detector does look at it, and at words
that are new.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data
from torch import Tensor

from ..data.base import Data, Split, hash_seed
from ..data.columns import some
from ..data.tables import Parts, open_rows, open_table, rows_for, to_frame
from ..errors import UserError
from ..spec import Spec

FEWEST = 2
"""Rows that anything can be learnt from."""


def is_mixed(X: Any) -> bool:
    """Whether X is a frame with anything but numbers in it."""
    from pandas.api.types import is_numeric_dtype

    return hasattr(X, "iloc") and hasattr(X, "columns") and not all(map(is_numeric_dtype, X.dtypes))


def checked(estimator: Any, X: Any, *, reset: bool) -> Any:
    """X as scikit-learn would have it: a mixed frame as it is, anything else as float64, shape (N, D).

    Sets or holds X to `n_features_in_` and `feature_names_in_`.
    """
    mixed = is_mixed(X) if reset else estimator.mixed_
    if mixed:
        if not hasattr(X, "columns"):
            raise UserError(f"{type(estimator).__name__} was fitted on a frame with words: give a frame again.")
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        if reset and len(X) < FEWEST:
            raise UserError(f"Found a frame with {len(X)} sample(s) while a minimum of {FEWEST} is required.")
        return X
    # A copy, so that no tensor ever shares memory with what is the user's, or may not be written to.
    options = {"dtype": np.float64, "ensure_all_finite": "allow-nan", "copy": True, "order": "C"}
    return validate_data(estimator, X, reset=reset, ensure_min_samples=FEWEST if reset else 1, **options)


def opened(estimator: Any, X: Any, held_out: float, seed: int, weights: Tensor | None) -> Data:
    """X, as `checked` gives it, as data: a share held out as its validation split, and no test split.

    Arguments:
        weights: of the rows, shape (N,). Rows to train on are drawn by them; of those held out, as many are drawn.
    """
    parts = cut(len(X), held_out, seed, weights)
    if estimator.mixed_:
        data = open_table(X, name="X", columns=tuple(map(str, X.columns)), parts=parts)
    else:
        data = open_rows(X, name="X", names=getattr(estimator, "feature_names_in_", None), parts=parts)
    train = data.train if weights is None else Split(data.train.source, weights=weights[parts[0]])
    return dataclasses.replace(data, train=train, reopens=False)


def cut(n: int, held_out: float, seed: int, weights: Tensor | None = None) -> Parts:
    """Indices of the rows to train on, those held out, at least one unless the share is 0, and none."""
    generator = torch.Generator().manual_seed(hash_seed("split", seed))
    order = torch.randperm(n, generator=generator)
    if weights is not None:  # without weight a row is not there, not even to standardise by
        order = order[weights[order] > 0]
        if len(order) < FEWEST:
            raise UserError(f"sample_weight leaves {len(order)} rows, but at least {FEWEST} are needed.")
    most = max(1, round(held_out * len(order))) if held_out else 0
    chosen = order[:most]
    if weights is not None and most:
        chosen = chosen[torch.multinomial(weights[chosen], most, replacement=True, generator=generator)]
    return order[most:], chosen, order[:0]


def entered(spec: Spec, X: Any, mixed: bool, strange: bool) -> Tensor:
    """X, as `checked` gives it, as rows that a model takes, float64, shape (N, D).

    Arguments:
        strange: leave words and constants that training never saw for a score to find odd.
    """
    if mixed:
        X = X.set_axis([str(column) for column in X.columns], axis=1)
        if not strange:
            usual = {c.name: c.mean for c in spec.columns if c.std == 0 and not c.categories}
            X = X.assign(**{name: X[name].where(X[name].isna(), value) for name, value in usual.items()})
        return rows_for(spec, X, name="X", strange=strange)[0]
    x = torch.from_numpy(X)
    gap = x.isnan().any(0).tolist()
    if names := [c.name for c, gaps in zip(spec.columns, gap, strict=True) if gaps and not c.missing]:
        raise UserError(f"X contains NaN in {some(names)}, where training had none: fill it, or fit on rows with gaps.")
    for i, column in enumerate(spec.columns):
        if column.std == 0 and not strange:
            x[:, i] = torch.where(x[:, i].isnan(), x[:, i], column.mean)
    return x


def left(spec: Spec, x: Tensor, mixed: bool) -> Any:
    """Rows of a model as the user's: a frame in its own words, or float64, shape (N, D)."""
    if mixed:
        return to_frame(spec, x)
    rows: NDArray[np.float64] = x.detach().cpu().double().numpy()
    return rows
