"""Take apart sources that were added, by models of what each of them is: the search of `_separation`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from torch import Tensor

from ..data import open_data
from ..data.arrays import read_npy, read_npz
from ..errors import UserError
from ..metrics.separation import paired, si_sdr
from ..models.base import Encoder, Model
from ..options import Range
from ..report import Metric, Report
from ..run import Run
from ..scores.search import prior_draws
from ..spec import Spec
from ._common import latent_model, open_run, open_run_data
from ._output import column_names, counter, csv, npz, output, png, write
from ._separation import Separated, Source
from ._separation import separate as search
from ._vectors import encoded

if TYPE_CHECKING:
    from PIL.Image import Image

POOL = 1000
"""Codes of training items, or draws of the prior, that a search may begin with."""
SHOWN = 12


def separate(
    runs: tuple[str, ...],
    *,
    mixed: str | None = None,
    truth: str | None = None,
    weights: tuple[float, ...] | None = None,
    mixtures: Annotated[int, Range(1, 32)] = 1,
    n: Annotated[int, Range(1)] = 100,
    restarts: Annotated[int, Range(1, 500)] = 8,
    steps: Annotated[int, Range(1)] = 300,
    prior_weight: Annotated[float, Range(0)] = 0.001,
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
) -> Report:
    """Take apart sources that were added, each by a run that has learnt what it looks like.

    A run is named for each source, one for two sources twice. Mixtures are an .npy or .npz (x) of shape (N, ...) or,
    of several mixtures of the same sources, (N, mixtures, ...), or whatever else holds items of the runs' kind. Where
    none are named, held-out items of the runs' own data are mixed and taken apart again, and the gain over the
    mixture and over independent component analysis is measured.

    Example:
        lookalike separate runs/digits runs/digits --weights 1,1 -o digits.png
        lookalike separate runs/hum runs/clicks --mixed recorded.npy -o sources.npz

    Arguments:
        runs: folders of the models of the sources, in their order.
        mixed: what is to be taken apart.
        truth: the sources of it, .npy or .npz (s) of shape (N, sources, ...), where they are known: to measure.
        weights: of the sources in each mixture, mixture after mixture, where they are known; else they are found: of
            one mixture for each item, of several one matrix for all items.
        mixtures: of the same sources, where held-out items are mixed.
        n: how many items, at most.
        restarts: starts of the search for each item, of which the best counts.
        steps: of the search.
        prior_weight: what a code pays for its squared distance from the mean of codes, in deviations.
        out: where to: a name that ends in .png, .npz (s, weights, x, and what is true) or, of rows, .csv; by default
            separated.png in the folder of the first run.
        overwrite: replace what is there.
        seed: of what is mixed and of the starts.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: fewer than two runs, or of different kinds of data; a model has no code or needs labels; the
            mixtures do not fit; the output exists.
    """
    opened = [Run.open(run) for run in runs]
    if len(opened) < 2:
        raise UserError("name a run for each source, at least two: one that is the model of both is named twice.")
    spec = _alike(opened)
    path, ending = output(out, opened[0].path / "separated.png", _endings(spec), overwrite=overwrite)
    if truth is not None and mixed is None:
        raise UserError("--truth is of --mixed: name the mixtures too.")
    models = _models(opened, device)
    s: Tensor | None = None
    A: Tensor | None
    if mixed is None:
        s, x, A = _example(opened, weights, mixtures, n, seed)
    else:
        x = _mixed(mixed, spec)[:n]
        A = _weights(weights, x.shape[1], len(opened))
        s = s if truth is None else _truth(truth, spec, len(opened), len(x))
    sources = [Source(model, _pool(run, model, seed)) for run, model in zip(opened, models, strict=True)]
    known = A if weights is not None else None
    how: dict[str, Any] = {"restarts": restarts, "steps": steps, "prior_weight": prior_weight, "seed": seed}
    found = search(sources, x, known, progress=counter("separating"), **how)
    kinds = [[run.path.resolve() for run in opened].index(run.path.resolve()) for run in opened]
    metrics = None
    if s is not None:
        better, ours = paired(s, found.s, kinds)
        metrics = _metrics(s, x, ours, {**how, "sources": len(opened), "weights known": weights is not None})
        found = found._replace(s=better)
    write(path, _content(spec, ending, x, s, found))
    return Report(
        title=f"{len(x)} mixtures of {len(opened)} sources taken apart by {', '.join(str(run.path) for run in opened)}",
        facts={"runs": [str(run.path) for run in opened], "mixed": mixed or "held-out items", "n": len(x)}
        | {"mixtures": x.shape[1], "error": round(found.error.mean().item(), 5)},
        metrics=metrics,
        files=[str(path)],
        notes=_notes(x, s, found),
    )


def _alike(runs: Sequence[Run]) -> Spec:
    """The spec of all runs: they are of items of one kind and shape, of numbers alone."""
    spec = runs[0].spec
    for run in runs:
        if (run.spec.kind == "images", run.spec.shape) != (spec.kind == "images", spec.shape):
            raise UserError(
                f"what is added is of one shape, but {runs[0].path} is of {spec}, {run.path} of {run.spec}."
            )
        named = [column.name for column in run.spec.columns if column.categories]
        if named:
            raise UserError(f"only numbers can be added, and {run.path} has categories in {named[0]!r}.")
    return spec


def _models(runs: Sequence[Run], device: str) -> list[Model]:
    """Their models, one for runs that are the same."""
    found: dict[Path, Model] = {}
    for run in runs:
        if run.path not in found:
            _, model, _ = open_run(run, device)
            latent_model(model, "separate")
            if model.conditional:
                raise UserError(f"{run.path} draws by label, and a source in a mixture has none: train it without.")
            found[run.path] = model
    return [found[run.path] for run in runs]


def _pool(run: Run, model: Model, seed: int) -> Tensor:
    """Codes to begin with, shape (P, latent): of training items, or draws of the prior."""
    if not isinstance(model, Encoder):
        drawn = prior_draws(model, POOL, seed)
        assert drawn is not None  # a model without an encoder is drawn from
        return drawn
    x, y = open_run_data(run).train.thinned(POOL).first(POOL, seed)
    return torch.from_numpy(encoded(model, x, y, seed)).float().to(model.device)


def _example(
    runs: Sequence[Run], weights: Sequence[float] | None, mixtures: int, n: int, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Held-out items s, (N, S, D), their mixtures x, (N, M, D), and the weights A, (M, S)."""
    generator = torch.Generator().manual_seed(seed)
    of = []
    for run in runs:
        items = open_run_data(run).test
        chosen = torch.randperm(len(items), generator=generator)[:n]
        of.append(items.batch(chosen, seed)[0].cpu().flatten(1).float())
    N = min(map(len, of))
    s = torch.stack([rows[:N] for rows in of], dim=1)
    if not s.isfinite().all():
        raise UserError("values are missing in the runs' own data, which cannot be added: name --mixed.")
    A = _weights(weights, mixtures, len(runs))
    if A is None:
        A = 0.3 + torch.rand(mixtures, len(runs), generator=generator)
    return s, A @ s, A


def _weights(weights: Sequence[float] | None, mixtures: int, sources: int) -> Tensor | None:
    if weights is None:
        return None
    if len(weights) != mixtures * sources:
        raise UserError(
            f"--weights must be {mixtures * sources} numbers, {sources} sources in each of {mixtures} mixtures, "
            f"but are {len(weights)}."
        )
    return torch.tensor(weights).view(mixtures, sources)


def _mixed(path: str, spec: Spec) -> Tensor:
    """Mixtures of a file, shape (N, M, D)."""
    if not path.lower().endswith((".npy", ".npz")):
        items = open_data(path, like=spec).items
        x = items.first(len(items))[0].flatten(1).float()[:, None]
    else:
        x = _channels(_array(path), spec, path)
    if not x.isfinite().all():
        raise UserError(f"{path} has values that are missing or infinite, which belong to no sum.")
    return x


def _truth(path: str, spec: Spec, sources: int, n: int) -> Tensor:
    """True sources of a file, shape (n, S, D)."""
    s = _channels(_array(path, "s"), spec, path)[:n]
    if s.shape[:2] != (n, sources):
        raise UserError(f"{path} should hold {n} items of {sources} sources, but holds {len(s)} of {s.shape[1]}.")
    return s


def _array(path: str, name: str = "") -> np.ndarray:
    if not Path(path).is_file():
        raise UserError(f"there is no file {path!r}.")
    if path.lower().endswith(".npy"):
        return read_npy(Path(path))
    if name:
        with np.load(path, allow_pickle=False) as file:
            if name in file.files:
                return file[name]
    return read_npz(Path(path))[0]


def _channels(array: np.ndarray, spec: Spec, path: str) -> Tensor:
    """An array of items, or of several for each, as shape (N, M, D)."""
    shapes = {spec.shape, (spec.dims,), spec.shape[-2:] if spec.shape[0] == 1 else spec.shape}
    if array.dtype.kind not in "biuf" or not array.size:
        raise UserError(f"{path} holds no numbers.")
    if tuple(array.shape[1:]) in shapes:
        array = array[:, None]
    elif tuple(array.shape[2:]) not in shapes:
        raise UserError(
            f"{path} has shape {array.shape}, but items of these runs have shape {spec.shape}: give (N, ...) or, of "
            "several mixtures of the same sources, (N, mixtures, ...)."
        )
    scale = 255 if array.dtype == np.uint8 and spec.kind == "images" else 1
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).flatten(2) / scale


def _metrics(s: Tensor, x: Tensor, ours: Tensor, how: dict[str, Any]) -> dict[str, Metric]:
    """SI-SDR of what was found, of the mixtures as they are, of ICA where there are enough of them, and the gain."""
    untouched = si_sdr(s[:, :, None], x[:, None]).amax(2)  # of the mixture that holds most of the source
    scores = {"si_sdr": ours, "si_sdr_mixture": untouched, "si_sdr_gain": ours - untouched}
    if x.shape[1] >= s.shape[1]:
        ica = paired(s, independent(x, s.shape[1], how["seed"]), [0] * s.shape[1])[1]
        scores |= {"si_sdr_ica": ica, "si_sdr_gain_over_ica": ours - ica}
    protocol = {"items": len(s), "mixtures": x.shape[1], **how}
    means = {name: score.mean(1) for name, score in scores.items()}
    errors = {name: mean.std().item() / math.sqrt(len(mean)) if len(mean) > 1 else None for name, mean in means.items()}
    return {name: Metric(mean.mean().item(), "estimate", "dB", protocol, errors[name]) for name, mean in means.items()}


def independent(x: Tensor, sources: int, seed: int) -> Tensor:
    """Independent components of mixtures x, (N, M, D), each pixel or moment of each item one sample: (N, S, D)."""
    from sklearn.decomposition import FastICA

    N, _, D = x.shape
    flat = x.transpose(1, 2).flatten(0, 1).double().numpy()
    found = FastICA(sources, whiten="unit-variance", max_iter=1000, tol=1e-3, random_state=seed).fit_transform(flat)
    return torch.from_numpy(found).view(N, D, sources).transpose(1, 2)


def _notes(x: Tensor, s: Tensor | None, found: Separated) -> list[str]:
    notes = [f"what is left of the mixtures' mean square: {found.error.mean().item():.2%}"]
    if s is not None and x.shape[1] < s.shape[1]:
        notes.append("fewer mixtures than sources: independent component analysis has no answer")
    return notes


def _endings(spec: Spec) -> tuple[str, ...]:
    return (".png", ".npz") if spec.kind == "images" else (".png", ".npz", ".csv")


def _content(spec: Spec, ending: str, x: Tensor, s: Tensor | None, found: Separated) -> bytes:
    if ending == ".png":
        return png(_picture(spec, x, s, found))
    if ending == ".npz":
        shaped = {"s": found.s, "x": x, **({} if s is None else {"true": s})}
        items = {name: of.unflatten(2, spec.shape) for name, of in shaped.items()}
        return npz(**items, weights=found.weights, error=found.error, **column_names(spec))
    from ..data.tables import to_frame

    N, S, _ = found.s.shape
    frame = to_frame(spec, found.s.flatten(0, 1).double())
    frame.insert(0, "item", [i // S for i in range(N * S)])
    frame.insert(1, "source", [i % S + 1 for i in range(N * S)])
    return csv(frame)


def _picture(spec: Spec, x: Tensor, s: Tensor | None, found: Separated) -> Image:
    from ..pictures import grid
    from ..pictures.signals import signals

    M, S = x.shape[1], found.s.shape[1]
    if spec.kind != "images":
        panels: dict[str, list[tuple[str, Tensor]]] = {
            f"mixture {c + 1}" if M > 1 else "mixture": [("data", x[:, c])] for c in range(M)
        }
        for i in range(S):
            true = found.s[:, i] if s is None else s[:, i]
            panels[f"source {i + 1}"] = [("true" if s is not None else "found", true), ("found", found.s[:, i])]
        return signals(panels)
    rows = [(f"mixture {c + 1}" if M > 1 else "mixture", x[:, c] / x.amax()) for c in range(M)]
    for i in range(S):
        rows.append((f"source {i + 1}", found.s[:, i]))
        rows += [] if s is None else [("true", s[:, i])]
    n = min(SHOWN, len(x))
    tiles = torch.cat([row[:n].unflatten(1, spec.shape) for _, row in rows])
    return grid(tiles, columns=n, row_labels=[name for name, _ in rows])
