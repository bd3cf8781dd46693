"""Items as vectors: the codes that a run makes of them, or the items themselves, for whatever one does with vectors.

Pixels are intensities in [0, 1]; rows are as the door has them, numbers standardised and categories one-hot.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data import Data, open_data
from ..data.base import Split
from ..errors import UserError
from ..models.base import Encoder, Informed, Model, seeded
from ..nn.doors import Door
from ..nn.memory import items_at_once, onto
from ..run import Run
from ..spec import Spec
from ._common import open_run, open_run_data, say

On = Literal["auto", "codes", "data"]
Which = Literal["all", "train", "valid", "test"]
Numbers = NDArray[np.float64]


class Vectors(NamedTuple):
    """Some items of data, and the vector that stands for each.

    Arguments:
        v: float64, shape (N, D). x: the items in the user's units, shape (N, *spec.shape).
        y: labels, shape (N,), or None. item: which of the split each is, shape (N,).
        on: "codes" or "data". names: of the items where they are files, else empty.
        run, model: where the source is a run.
    """

    v: Numbers
    x: Tensor
    y: Tensor | None
    item: Tensor
    names: tuple[str, ...]
    data: Data
    on: str
    run: Run | None = None
    model: Model | None = None

    @property
    def spec(self) -> Spec:
        return self.data.spec

    @property
    def what(self) -> str:
        """What they are, in words."""
        if self.run is not None and self.on == "codes":
            return f"codes of {self.data.name} by {self.run.path}"
        return f"items of {self.data.name}"


def is_run(source: Any) -> bool:
    """Whether this is a run, or the folder of one."""
    if isinstance(source, str | Path):
        return (Path(source) / "run.json").is_file()
    return isinstance(source, Run)


def beside(source: Any, name: str) -> Path:
    """Where an output goes that the user has not named: the run folder, or the current one."""
    return (Run.open(source).path if is_run(source) else Path()) / name


def vectors(
    source: str | Path | Run | Any,
    data: str | None,
    *,
    on: On = "auto",
    split: Which = "all",
    limit: int | None = None,
    seed: int = 0,
    device: str = "auto",
    how: Mapping[str, Any],
) -> Vectors:
    """The items of a run's data, of other data through a run, or of data alone.

    Arguments:
        source: a run, or data.
        data: other data for a run.
        limit: most items that are taken, spread evenly.
        how: options of `open_data`.

    Raises:
        UserError: what was named is not there or does not fit; codes of a model without an encoder.
    """
    run, model = None, None
    if is_run(source):
        run, model, _ = open_run(source, device)
        found = open_run_data(run, data, **how)
    elif data is not None:
        raise UserError(f"{source} is not a run folder, so it cannot be asked about {data!r}: name the run first.")
    elif on == "codes":
        raise UserError(f"{source} is not a run folder, and codes are a model's: name the run first, then the data.")
    else:
        found = open_data(source, **how)
        for note in found.notes:
            say(f"note: {note}")
    items = found.items if split == "all" else found.splits[split]
    if not len(items):
        raise UserError(f"{found.name} has no {split} items.")
    x, y, item = _taken(items, limit, seed)
    names = tuple(found.names[i] for i in item.tolist()) if split == "all" and any(found.names) else ()
    of = "codes" if model is not None and on != "data" else "data"
    v = encoded(model, x, y, seed) if model is not None and of == "codes" else flat(found.spec, x)
    return Vectors(v, x, y, item, names, found, of, run, model)


def _taken(items: Split, limit: int | None, seed: int) -> tuple[Tensor, Tensor | None, Tensor]:
    """x, y and which items they are, at most `limit`, spread evenly."""
    n = len(items) if limit is None else min(limit, len(items))
    item = torch.arange(n) * len(items) // n
    x, y = items.batch(item, seed)
    return x.cpu(), None if y is None else y.cpu(), item


def through(model: Model) -> Encoder | Informed:
    """The model, if it has a way from x to a code.

    Raises:
        UserError: it has none.
    """
    if isinstance(model, Encoder) or (isinstance(model, Informed) and model.informed):
        return model
    raise UserError(
        f"codes need an encoder, and {type(model).__name__} has none: "
        "autoencoders, VAEs and flows have (conv-ae, vae, realnvp)."
    )


@torch.no_grad()
def encoded(model: Model, x: Tensor, y: Tensor | None = None, seed: int = 0) -> Numbers:
    """Codes of items x in the user's units, float64, shape (N, latent).

    Raises:
        UserError: the model has no encoder, or its codes are no numbers.
    """
    way, size = through(model), items_at_once(model.spec.dims)
    labels = None if y is None else y.to(model.device)
    with seeded(seed, model.device):
        parts = [
            way.encode(onto(x[i : i + size], model.device), None if labels is None else labels[i : i + size]).cpu()
            for i in range(0, len(x), size)
        ]
    z: Numbers = torch.cat(parts).double().flatten(1).numpy()
    if not np.isfinite(z).all():
        raise UserError("the codes of this model are not all numbers: its training failed. Train it anew.")
    return z


def flat(spec: Spec, x: Tensor) -> Numbers:
    """Items in the user's units as vectors, float64, shape (N, D)."""
    h = x if spec.kind == "images" else Door(spec).double().enter(x)
    v: Numbers = h.flatten(1).double().numpy()
    return v


def unflat(spec: Spec, v: Numbers) -> Tensor:
    """What `flat` gave as items again, in the user's units, shape (N, *spec.shape)."""
    h = torch.from_numpy(v)
    return h.unflatten(1, spec.shape).clamp(0, 1) if spec.kind == "images" else Door(spec).double().leave(h)


def linear_classifier(v: Numbers, y: Numbers | NDArray[np.int64]) -> Any:
    """Logistic regression by scikit-learn, after at most 300 steps of L-BFGS."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what it can do in 300 steps is what is asked
        return LogisticRegression(max_iter=300).fit(v, y)
