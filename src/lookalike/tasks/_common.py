"""What tasks share: opening a run and data for it, drawing samples, choosing a device."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data import DATASETS, Data, open_data
from ..errors import UserError
from ..models.base import Bounded, Explicit, Implicit, Latent, Model
from ..options import check
from ..run import Run
from ..training.device import find_device
from ..training.progress import tell

CHUNK = 250  # samples drawn at a time, to bound memory; whole chunks do not depend on how many are asked for


Watch = Callable[[Tensor, int], None]
"""Told images as they are drawn, shape (B, C, H, W), and how many of their rows are there."""


def say(words: str) -> None:
    """A sentence to the user, on stderr: stdout is for answers."""
    tell(f"{words}\n")


def open_run(run: str | Path | Run, device: str = "auto") -> tuple[Run, Model, torch.device]:
    """A run and its trained model in eval mode on the device that was asked for."""
    opened = Run.open(run)
    model, said = opened.load_model()
    for sentence in said:
        say(f"note: {sentence}")
    place = find_device(device)
    return opened, model.to(place), place


def open_run_data(run: Run, data: Any = None, **how: Any) -> Data:
    """The data a run was trained on, or other data that fits its spec.

    Raises:
        UserError: the data is not there, has changed since the training, or does not fit.
    """
    if data is None:
        saved = run.header["data"]
        if not saved["reopens"]:
            raise UserError(f"{run.path} was trained on an array in memory: name the data to use.")
        where = saved["where"]
        if where not in DATASETS and not Path(where).exists():
            raise UserError(
                f"the data {run.path} was trained on is not at {where} any more. "
                "Name where it is now, after the run, or put it back."
            )
        opened = open_data(where, **check(open_data, saved["options"], f"{run.path}: its data"))
        if opened.fingerprint != saved["fingerprint"]:
            raise UserError(
                f"the data {saved['name']!r} has changed since {run.path} was trained on it. "
                "Name the data to use, or restore what it was."
            )
        return dataclasses.replace(opened, name=saved["name"])
    opened = open_data(data, like=run.spec, **how)
    for note in opened.notes:
        say(f"note: {note}")
    return opened


def latent_model(model: Model, what: str) -> Latent:
    """The model, if it has a code to decode; else a UserError that says who does."""
    if not isinstance(model, Latent):
        raise UserError(
            f"{what} needs a code, and {type(model).__name__} has none: "
            "autoencoders, VAEs, flows and GANs have (conv-ae, vae, realnvp, r3)."
        )
    return model


def draws(
    model: Model,
    n: int,
    *,
    seed: int = 0,
    y: Tensor | None = None,
    temperature: float = 1.0,
    truncation: float | None = None,
    means: bool = False,
    watch: Watch | None = None,
) -> Iterator[Tensor]:
    """n samples in chunks, on the CPU, in the user's units; the same for the same seed and n.

    Arguments:
        watch: of a model that draws slowly, told each chunk as it comes, row by row.

    Raises:
        UserError: the model cannot be sampled, or not truncated.
    """
    if not isinstance(model, Explicit | Implicit):
        raise UserError(
            f"{type(model).__name__} cannot be sampled: it has no prior on its code. "
            "Train vae, realnvp, made, pixelcnn or r3 to draw new items."
        )
    if truncation is not None and not model.truncates:
        raise UserError(
            f"{type(model).__name__} has no normal code to truncate: leave truncation out, "
            "or use a lower temperature for less varied draws."
        )
    how: dict[str, Any] = {"temperature": temperature} | ({} if truncation is None else {"truncation": truncation})
    if watch is not None and model.draws_slowly:
        how["watch"] = watch
    for start in range(0, n, CHUNK):
        size = min(CHUNK, n - start)
        labels = None if y is None else y[start : start + size].to(model.device)
        drawn = model.sample_means if means and isinstance(model, Bounded) else model.sample
        yield drawn(size, labels, seed=seed + start, **how).cpu()


def draw(
    model: Model,
    n: int,
    *,
    seed: int = 0,
    y: Tensor | None = None,
    temperature: float = 1.0,
    truncation: float | None = None,
    means: bool = False,
    progress: Callable[[int, int], None] | None = None,
    show: Callable[[Tensor], None] | None = None,
) -> Tensor:
    """n samples at once, as `draws` gives them, shape (n, *spec.shape).

    Arguments:
        progress: told how many are done, and of how many; of images drawn row by row, of rows.
        show: told all the images as far as they are drawn, after each row.
    """
    x, done = torch.empty(0), 0

    def take(chunk: Tensor) -> None:
        nonlocal x
        if not len(x):  # room for all at once: where there is too little it is known now, not hours later
            with torch.inference_mode(False):  # a model may draw in it, and what is made there cannot be written to
                x = torch.zeros(n, *chunk.shape[1:], dtype=chunk.dtype)
        x[done : done + len(chunk)] = chunk

    def watch(chunk: Tensor, rows: int) -> None:
        if progress is not None:
            H = chunk.shape[2]
            progress(done * H + len(chunk) * rows, n * H)
        if show is not None:
            take(chunk)
            show(x)

    for chunk in draws(
        model, n, seed=seed, y=y, temperature=temperature, truncation=truncation, means=means, watch=watch
    ):
        take(chunk)
        done += len(chunk)
        if progress is not None and not model.draws_slowly:
            progress(done, n)
    return x
