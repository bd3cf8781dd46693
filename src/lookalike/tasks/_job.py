"""One training of a comparison, in a process of its own: trained, measured, and said in one file.

    python -m lookalike.tasks._job job.json        writes result.json, and samples.npz beside it

The process has one thread and goes on where it was stopped. It ends, saved, when the one that started it does: its
standard input then closes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from ..data.base import Data
from ..data.download import data_folder
from ..disk import write_atomically
from ..errors import UserError
from ..models.base import Completer, Encoder, Explicit, Implicit, Latent, Model, pictured
from ..recipe import Clock
from ..report import Metric
from ..run import LOCK, Run
from ..training.loop import CLOCKS
from ._advice import CHOOSING
from ._common import CHUNK, draws, open_run_data
from ._evidence import SplitName
from ._mixed import odd_items, own_scores
from ._output import npz, write
from .evaluate import measure
from .reconstruct import reconstructions
from .train import train

MEASURED = (
    "bits_per_dim", "nats", "bits_per_dim_iw", "nats_iw", "kl_to_truth", "frechet_distance", "frechet_floor",
    "kernel_distance", "precision", "recall", "density", "coverage", "two_sample_accuracy", "modes_found",
    "high_quality", "classes_found", "copying", "psnr", "mse",
)  # fmt: skip
LOSSES = {"psnr", "mse"}
SHOWN = {"images": 16, "points": 1000, "table": 1000}
"""Items that are kept for pictures."""
WAIT = 60.0
"""Seconds that a run is waited for which another process holds."""
TIMED = 1.0
"""Seconds that are drawn for, to see how fast that is, if one chunk does not take longer."""


@dataclass(frozen=True)
class Job:
    """A training and how it is measured: plain values, as they stand in a file.

    Arguments:
        name: of its files.
        folder: of the comparison.
        data: what `open_data` takes, and how.
        budget: steps or minutes, as `train` takes them.
        measuring: how, as `measure` takes it.
    """

    name: str
    folder: str
    recipe: str
    seed: int
    data: str
    how: dict[str, Any]
    budget: dict[str, Any]
    clock: Clock
    device: str
    measuring: dict[str, Any]

    @property
    def run(self) -> Path:
        return Path(self.folder, "runs", self.name)

    def file(self, ending: str) -> Path:
        return Path(self.folder, "results", f"{self.name}.{ending}")


def work(job: Job) -> dict[str, Any]:
    """Train or go on, measure, and say how it went, as plain values."""
    run = train(
        job.recipe,
        job.data,
        out=job.run,
        seed=job.seed,
        resume=True,
        device=job.device,
        clock=job.clock,
        **job.budget,
        **job.how,
    )
    model, _ = run.load_model()
    model = model.to(job.device)
    data = open_run_data(run)
    figures: dict[str, dict[str, Metric]] = {}
    skipped: dict[str, str] = {}
    splits: dict[SplitName, tuple[str, ...]] = {"valid": CHOOSING, "test": MEASURED}
    for split, metrics in splits.items():
        cache = data_folder() / "features"
        figures[split], skipped = measure(model, data, split=split, metrics=metrics, cache=cache, **job.measuring)
        if isinstance(model, Encoder) and model.lossless:  # what is not lost is no feat of a code as large as the item
            skipped |= dict.fromkeys(figures[split].keys() & LOSSES, "its code loses nothing")
            figures[split] = {name: metric for name, metric in figures[split].items() if name not in LOSSES}
    odd, score = odd_items(model, data, job.measuring["limit"])
    skipped |= {} if odd else {"odd_items": score}
    for split, metric in odd.items():
        figures[split]["odd_items"] = metric
    steps, seconds = _length(run)
    figures["test"] |= _costs(model, seconds, job)
    _keep_items(model, data, job)
    return {
        "recipe": job.recipe,
        "seed": job.seed,
        "steps": steps,
        "can": abilities(model),
        "score": score if odd else None,
        "latent": model.latent if isinstance(model, Latent) else None,
        "figures": {split: {name: metric.json() for name, metric in of.items()} for split, of in figures.items()},
        "skipped": skipped,
    }


def abilities(model: Model) -> dict[str, str]:
    """What a model can do: a word on how, or none where it cannot."""
    likelihood = ("exact" if model.exact else "bound") if isinstance(model, Explicit) else ""
    return {
        "sample": "slowly" if model.draws_slowly else "yes" if isinstance(model, Explicit | Implicit) else "",
        "likelihood": likelihood,
        "encode": "yes" if isinstance(model, Encoder) else "",
        "reconstruct": ("without loss" if model.lossless else "yes") if isinstance(model, Encoder) else "",
        "interpolate": "yes" if isinstance(model, Latent) else "",
        "complete": "yes" if isinstance(model, Completer) else "",
        "detect by": ", ".join(own_scores(model)),
        "labels": "yes" if model.conditional else "",
    }


def _length(run: Run) -> tuple[int, float]:
    """Steps and seconds of a training, by its last checkpoint: its log may end a few steps before."""
    folder, _ = run.newest()
    assert folder is not None
    state = torch.load(folder / "state.pt", weights_only=True, map_location="cpu")
    return state["step"], state["seconds"]


def _costs(model: Model, seconds: float, job: Job) -> dict[str, Metric]:
    """Time, size and speed."""
    clock = {"clock": job.clock, "device": job.device, "threads": torch.get_num_threads()}
    found = {
        "training_seconds": Metric(seconds, "exact", "s", clock),
        "parameters": Metric(sum(p.numel() for p in model.parameters()), "exact", "", {}),
    }
    if isinstance(model, Explicit | Implicit):
        found["samples_per_second"] = _speed(model, job.clock, clock)
    return found


@torch.inference_mode()
def _speed(model: Explicit | Implicit, clock: Clock, protocol: dict[str, Any]) -> Metric:
    """Items drawn in a second, in chunks as `sample` draws them; of a slow drawer in a small one."""
    now, size = CLOCKS[clock], 16 if model.draws_slowly else CHUNK
    if not model.draws_slowly:
        list(draws(model, 1))  # what is done once
    ends = [now()]
    while len(ends) == 1 or ends[-1] - ends[0] < TIMED:
        list(draws(model, size, seed=len(ends)))
        ends.append(now())
    took = torch.tensor(ends, dtype=torch.float64).diff().clamp(min=1e-9)
    speed = size / took.mean().item()
    error = speed * (took.std() / took.mean()).item() / len(took) ** 0.5 if len(took) > 1 else None
    return Metric(speed, "estimate", "items/s", protocol, error)


@torch.inference_mode()
def _keep_items(model: Model, data: Data, job: Job) -> None:
    """Samples, and held-out items with what the model made of them, for the pictures of the page."""
    n = SHOWN[data.spec.kind]
    items = data.valid.thinned(n).first(n)
    kept: dict[str, Tensor] = {"x": items[0]}
    if isinstance(model, Explicit | Implicit):
        kept["samples"] = pictured(model, n, seed=job.seed).cpu()
    if isinstance(model, Encoder) and not model.lossless:
        kept["x_hat"] = reconstructions(model, items)[1]
    write(job.file("npz"), npz(**kept))


def main(path: str) -> None:
    """Do the job that a file says, and write its result, or the sentence on why there is none."""
    job = Job(**json.loads(Path(path).read_text()))
    torch.set_num_threads(1)
    with contextlib.suppress(OSError, Timeout), FileLock(job.run / LOCK, timeout=WAIT):
        pass  # a process of an earlier comparison that is just being saved
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        result = work(job)
    except UserError as mistake:
        result = {"recipe": job.recipe, "seed": job.seed, "error": str(mistake)}
    except KeyboardInterrupt:
        sys.exit(130)
    write_atomically(job.file("json"), json.dumps(result).encode())


def _end_with_parent() -> None:
    """End, as Ctrl-C would, when nobody holds the other end of standard input any more."""
    with contextlib.suppress(OSError, ValueError):
        while os.read(0, 1024):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1])
