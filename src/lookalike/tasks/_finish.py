"""What a training ends with: pictures of what it makes and keeps, its validation figures, and report.html."""

from __future__ import annotations

import torch

from ..data import Data
from ..metrics.table import METRICS
from ..models.base import Encoder, Explicit, Implicit, Model, Repairer, pictured, seeded
from ..nn.memory import onto
from ..page import PICTURES, write_page
from ..pictures import compare, in_plane, repairs, show
from ..report import Report
from ..run import Run
from ..training.examine import FEW
from ._common import say
from ._evidence import SAMPLED
from ._output import png, write
from .evaluate import collapse, measure
from .reconstruct import reconstructions
from .sample import log_density

ITEMS = 1000  # of the validation split; the test split is for `evaluate`
SHOWN = {"images": 64, "points": 2000, "table": 1000}
PAIRS = {"images": 16, "points": 500, "table": 1000}


def finish(run: Run, model: Model, data: Data, seed: int) -> None:
    """Draw, measure on the validation split what costs no sampling, and write the page.

    Arguments:
        model: trained, in eval mode.
    """
    draw_pictures(run, model, data, seed)
    # What needs a thousand samples is left to `evaluate`: an autoregressive model takes minutes for them.
    names = [name for name, entry in METRICS.items() if not set(SAMPLED) & set(entry.evidence.values())]
    metrics, skipped = measure(model, data, split="valid", metrics=names, limit=ITEMS, importance_samples=16, seed=seed)
    for note in collapse(metrics):
        say(f"note: {note}")
    write_page(run, report=Report("", metrics=metrics, skipped=skipped))


@torch.inference_mode()
def draw_pictures(run: Run, model: Model, data: Data, seed: int) -> None:
    """Draw what the model makes and what it keeps, into the run folder."""
    spec = model.spec
    folder = run.path / PICTURES
    if isinstance(model, Explicit | Implicit):
        real, _ = data.valid.thinned(SHOWN[spec.kind]).first(SHOWN[spec.kind], seed)
        n = FEW if model.draws_slowly else SHOWN[spec.kind]
        x = pictured(model, n, seed=seed).cpu()
        write(folder / "samples.png", png(show(spec, x, real, log_density(model) if in_plane(spec) else None)))
    if isinstance(model, Repairer) and spec.kind == "images":
        truth, _ = data.valid.thinned(PAIRS[spec.kind]).first(PAIRS[spec.kind], seed)
        with seeded(seed, model.device):
            before, repaired = model.attempt(onto(truth, model.device))
        write(folder / "reconstructions.png", png(repairs(before.cpu(), repaired.cpu(), truth)))
    elif isinstance(model, Encoder):
        x, x_hat = reconstructions(model, data.valid.thinned(PAIRS[spec.kind]).first(PAIRS[spec.kind], seed), seed)
        write(folder / "reconstructions.png", png(compare(spec, x, x_hat)))
