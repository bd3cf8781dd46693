"""Draw new items from a trained model, and write them as a picture, arrays, a table or files."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from torch import Tensor

from ..errors import UserError
from ..models.base import Bounded, Explicit, Model, asked
from ..nn.memory import onto
from ..options import Range
from ..report import Report
from ..run import Run
from ..spec import Spec
from ._common import draw, open_run, open_run_data, say
from ._output import (
    WRITES,
    column_names,
    counter,
    csv,
    label_index,
    label_words,
    npz,
    output,
    png,
    write,
    write_folder,
)

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_DRAWN = 10_000
"""Images in one picture."""

GROWS_EVERY = 1.0
"""Seconds between two writings of a picture that grows row by row."""

ENOUGH = 500
"""Held-out items that show what the data is like; where there are fewer, the training items do."""


def sample(
    run: str | Path | Run,
    *,
    n: Annotated[int, Range(1)] = 64,
    out: Path | None = None,
    temperature: Annotated[float, Range(0)] = 1.0,
    truncation: Annotated[float | None, Range(0)] = None,
    label: str | None = None,
    means: bool | None = None,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
) -> Report:
    """Draw new items from a trained model.

    The same seed and n give the same items. An .npz holds x (images in [0, 1], shape (n, C, H, W);
    points and rows in your own units, a category as its index) and y where the model takes labels; a .csv holds
    rows as you wrote them.

    Example:
        lookalike sample runs/photos -n 64 --seed 0 -o grid.png
        lookalike sample runs/table -n 1000 -o more.csv
        lookalike sample runs/photos -n 500 -o folder

    Arguments:
        run: folder of the trained model.
        n: how many.
        out: where to: a name that ends in .png (a grid or a plot), .npz, .csv (tables and points), or a folder
            for a file of each image; by default samples.png (of a table samples.csv) in the run folder.
        temperature: below 1 for less varied draws, nearer the mode.
        truncation: of a GAN, the most an entry of its normal code may be, in deviations: below 2 or so for
            fewer odd draws and less variety.
        label: class to draw, by name or number, of a model trained with labels, or the number of a category that
            it found itself (infogan); by default all in turn.
        means: of a VAE, the mean image of each code in place of a draw, whose pixels are noisy one by one;
            by default in pictures, and draws in .npz and .csv.
        overwrite: replace what is there.
        seed: of the draws.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the model cannot be sampled or has no such class; the output exists or cannot be written.
    """
    opened = Run.open(run)
    spec = opened.spec
    default = opened.path / ("samples.csv" if spec.kind == "table" else "samples.png")
    path, ending = output(out, default, WRITES[spec.kind], overwrite=overwrite)
    if ending == ".png" and spec.kind == "images" and n > MOST_DRAWN:
        raise UserError(f"{n} images are too many for one picture: write an .npz or a folder, or at most {MOST_DRAWN}.")
    _, model, _ = open_run(opened, device)
    spec = dataclasses.replace(spec, classes=asked(model))
    y = _labels(spec, label, n)
    if means is None:
        means = spec.kind == "images" and ending != ".npz"
    told, by_class = counter("sampling"), label is None
    how: dict[str, Any] = {"seed": seed, "y": y, "temperature": temperature, "truncation": truncation, "means": means}
    with _growing(path, ending, lambda x: _picture(opened, spec, model, x, y, by_class=by_class)) as show:
        x = draw(model, n, **how, progress=told, show=show)
    if ending == ".npz":
        labels = {} if y is None else {"y": y, "classes": list(spec.classes)}
        write(path, npz(x=x, **labels, **column_names(spec)))
    elif ending == ".csv":
        write(path, _csv(spec, x, y))
    elif ending == ".png":
        write(path, png(_picture(opened, spec, model, x, y, by_class=by_class)))
    else:
        write_folder(path, x)
    what = "means of samples" if means and isinstance(model, Bounded) else "samples"
    facts = {"run": str(opened.path), "n": n, "what": what, "seed": seed, "temperature": temperature}
    facts |= {} if truncation is None else {"truncation": truncation}
    return Report(
        title=f"{n} {what} of {opened.path}, seed {seed}",
        facts=facts if label is None else {**facts, "label": label},
        files=[str(path)],
    )


@contextmanager
def _growing(path: Path, ending: str, picture: Callable[[Tensor], Image]) -> Iterator[Callable[[Tensor], None] | None]:
    """What to tell the images drawn so far, for a picture of them that grows; none is left where drawing stops.

    None where the output is no picture, or is to replace one, which stays until the new one is whole.
    """
    if ending != ".png" or path.exists():
        yield None
        return
    last = time.monotonic()

    def show(x: Tensor) -> None:
        nonlocal last
        if time.monotonic() - last > GROWS_EVERY:
            write(path, png(picture(x)))
            last = time.monotonic()

    try:
        yield show
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _labels(spec: Spec, label: str | None, n: int) -> Tensor | None:
    """Labels to draw: one class, or all in turn; None where there is none to ask for."""
    if not spec.classes:
        if label is not None:
            raise UserError(
                "this model was trained without labels, so --label cannot choose a class: "
                "train one that takes them (projection, cvae, pixelcnn with --conditional), or finds its own (infogan)."
            )
        return None
    return torch.arange(n) % len(spec.classes) if label is None else torch.full((n,), label_index(spec, label))


def log_density(model: Model) -> Callable[[Tensor], Tensor] | None:
    """log p(x), or the bound on it, as a function of x alone; None of a model that has none."""
    if not isinstance(model, Explicit) or model.conditional:
        return None
    explicit = model
    return lambda x: explicit.log_prob(onto(x, explicit.device))


def _picture(run: Run, spec: Spec, model: Model, x: Tensor, y: Tensor | None, *, by_class: bool) -> Image:
    from ..pictures import grid, in_plane, show

    classes = spec.classes
    if spec.kind == "images":
        if y is not None and by_class and 1 < len(classes) <= 16:
            return grid(x, columns=len(classes), column_labels=classes)
        return grid(x)
    try:
        data = open_run_data(run)
        real, _ = (data.test if len(data.test) >= ENOUGH else data.train).first(max(1000, len(x)))
    except UserError as why:
        say(f"note: drawn without the data: {why}")
        real = None
    return show(spec, x, real, log_density(model) if in_plane(spec) else None)


def _csv(spec: Spec, x: Tensor, y: Tensor | None) -> bytes:
    from ..data.tables import to_frame

    frame = to_frame(spec, x)
    if y is not None:
        frame["label"] = label_words(spec, y)
    return csv(frame)
