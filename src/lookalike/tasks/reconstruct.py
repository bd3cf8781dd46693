"""Take data through a trained model's code and back, and show both."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from ..errors import UserError
from ..models.base import Encoder, Model, seeded
from ..nn.memory import onto
from ..options import Range
from ..report import Report
from ..run import Run
from ..spec import Spec
from ._common import open_run, open_run_data
from ._output import WRITES, column_names, csv, npz, output, png, write
from .evaluate import measure


def reconstruct(
    run: str | Path | Run,
    data: str | None = None,
    *,
    n: Annotated[int, Range(1)] = 32,
    split: Literal["test", "valid", "train"] = "test",
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
    **how: Any,
) -> Report:
    """Encode and decode data, and show what is lost.

    Example:
        lookalike reconstruct runs/photos -o pairs.png
        lookalike reconstruct runs/photos holiday/ -n 100 -o pairs.npz

    Arguments:
        run: folder of the trained model.
        data: name or path of other data of the same kind; the run's own where it is left out.
        n: how many items, the first of the split.
        split: which items.
        out: where to: a name that ends in .png (data beside reconstructions), .npz (x and x_hat) or .csv (tables
            and points); by default reconstructions.png in the run folder.
        overwrite: replace what is there.
        seed: of dynamic binarisation.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the model has no encoder; the output exists or cannot be written; the data do not fit.
    """
    opened = Run.open(run)
    endings = [ending for ending in WRITES[opened.spec.kind] if ending.startswith(".")]
    path, ending = output(out, opened.path / "reconstructions.png", endings, overwrite=overwrite)
    _, model, _ = open_run(opened, device)
    encoder(model, "reconstruct")
    found = open_run_data(opened, data, **how)
    x, x_hat = reconstructions(model, found.splits[split].thinned(n).first(n, seed), seed)
    spec = opened.spec
    if ending == ".npz":
        write(path, npz(x=x, x_hat=x_hat, **column_names(spec)))
    elif ending == ".csv":
        write(path, _csv(spec, x, x_hat))
    else:
        from ..pictures import compare

        write(path, png(compare(spec, x, x_hat)))
    names = ["mse", "psnr", "ssim"] if spec.kind == "images" else ["mse"]
    metrics, _ = measure(model, found, split=split, metrics=names, limit=len(x), seed=seed)
    return Report(
        title=f"{len(x)} items of {found.name}, {split} split, through {opened.path} and back",
        facts={"run": str(opened.path), "data": found.name, "split": split, "n": len(x)},
        metrics=metrics,
        files=[str(path)],
    )


def encoder(model: Model, what: str) -> Encoder:
    """The model, if it has a way from x to a code; else a UserError that says who does."""
    if not isinstance(model, Encoder):
        raise UserError(
            f"{what} needs an encoder, and {type(model).__name__} has none: "
            "autoencoders, VAEs and flows have (conv-ae, vae, realnvp)."
        )
    return model


@torch.inference_mode()
def reconstructions(model: Model, items: tuple[Tensor, Tensor | None], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Items x and what the model makes of them, both on the CPU, shape (n, *spec.shape).

    Arguments:
        items: x, and labels y or None, as a `Split` gives them.
    """
    x, y = items
    through = encoder(model, "reconstruct")
    size = max(8, 200_000 // model.spec.dims)
    labels = [None] * len(x.split(size)) if y is None else list(y.to(model.device).split(size))
    with seeded(seed, model.device):
        chunks = zip(x.split(size), labels, strict=True)
        parts = [through.reconstruct(onto(part, model.device), of).cpu() for part, of in chunks]
    return x.cpu(), torch.cat(parts)


def _csv(spec: Spec, x: Tensor, x_hat: Tensor) -> bytes:
    """Two lines an item: the data and the reconstruction."""
    from ..data.tables import to_frame

    frame = to_frame(spec, torch.stack([x, x_hat.to(x)], dim=1).flatten(0, 1))
    frame.insert(0, "item", [i // 2 for i in range(2 * len(x))])
    frame.insert(1, "is", ["data", "reconstruction"] * len(x))
    return csv(frame)
