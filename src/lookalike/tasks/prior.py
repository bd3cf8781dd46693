"""The second half of a VQ-VAE: a prior of its codes, an ordinary run on them as a data set of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from ..data import Data
from ..errors import UserError
from ..models.base import Coded, Model, seeded
from ..nn.memory import items_at_once, onto
from ..options import Range
from ..run import CODES, PRIOR, Run
from ._common import open_run, open_run_data, say
from ._finish import finish
from ._output import label_words, npz, write


def prior(
    run: str | Path | Run,
    *,
    recipe: str = "pixelcnn",
    steps: Annotated[int | None, Range(1)] = None,
    minutes: Annotated[float | None, Range(0, above=True)] = None,
    resume: bool = False,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
    **given: Any,
) -> Run:
    """Train a prior of a model's codes, and make it part of that model.

    The codes of the run's own data, in its own splits, are written to code-images.npz in the run folder: images of as
    many levels as there are codes. A run on them in the folder `prior` in it is what sample, evaluate and load use
    from then on. Any recipe with a density of images will do, and `lookalike train` takes all its options.

    Example:
        lookalike prior runs/photos --minutes 10
        lookalike train pixelcnn runs/photos/code-images.npz --width 64 --conditional -o runs/photos/prior

    Arguments:
        run: folder of the trained model.
        recipe: of the prior.
        steps: of its training; by default the recipe's.
        minutes: wall-clock limit of its training.
        resume: go on with a prior that was stopped.
        overwrite: start its training anew.
        seed: of everything random.
        device: auto, cpu, cuda or mps.
        given: in Python, further options of the recipe and of its training.

    Raises:
        UserError: the model has no codes for a prior, there is a prior already, or the recipe has no density of images.
    """
    from .train import train  # which calls this in turn, where it is asked to

    opened, model, _ = open_run(run, device)
    data = open_run_data(opened)
    given |= {name: value for name, value in (("steps", steps), ("minutes", minutes)) if value is not None}
    file = write_codes(opened, model, data, seed)
    out = opened.path / PRIOR
    train(recipe, str(file), out=out, seed=seed, resume=resume, overwrite=overwrite, device=device, **given)
    _, joined, _ = open_run(opened, device)
    finish(opened, joined, data, seed)
    say(f"{opened.path} now draws its codes from {out}")
    return opened


def coded(model: Model) -> Coded:
    """The model, if it has codes for a prior; else a UserError that says who does."""
    if not isinstance(model, Coded):
        raise UserError(f"a prior needs a code of levels, and {type(model).__name__} has none: train vqvae.")
    return model


@torch.inference_mode()
def write_codes(run: Run, model: Model, data: Data, seed: int) -> Path:
    """Write the codes of all items as a data set of images that keeps their splits and labels."""
    encoder = coded(model)
    codes: list[Tensor] = []
    labels: list[Tensor] = []
    with seeded(seed, model.device):
        for split in data.splits.values():
            for x, y in split.all(chunk=items_at_once(model.spec.dims), seed=seed):
                codes.append(encoder.codes(onto(x, model.device))[:, 0].to(torch.uint8).cpu())
                labels += [] if y is None else [y.cpu()]
    which = np.repeat(np.arange(3, dtype=np.uint8), [len(split) for split in data.splits.values()])
    named = {"y": label_words(model.spec, torch.cat(labels))} if labels and model.spec.classes else {}
    path = run.path / CODES
    write(path, npz(x=torch.cat(codes), levels=encoder.code_spec.levels, split=which, **named))
    return path
