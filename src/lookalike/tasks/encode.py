"""The codes of data: what a trained model makes of each item, for whatever one does with vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from ..data.base import Data, Split
from ..models.base import Encoder, Informed, Model, seeded
from ..nn.memory import items_at_once, onto
from ..options import Range
from ..report import Report
from ..run import Run
from ._common import open_run, open_run_data
from ._output import counter, csv, label_words, npz, output, write
from .reconstruct import encoder


def encode(
    run: str | Path | Run,
    data: str | None = None,
    *,
    split: Literal["all", "train", "valid", "test"] = "all",
    limit: Annotated[int | None, Range(1)] = None,
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
    **how: Any,
) -> Report:
    """Write the code z of each item, with its label and which item it is.

    An .npz holds z, float32, shape (N, latent); item, which it is, counted from 0 in the order of the data (of
    one split: of that split); name, where the data are files; y and classes, where there are labels. A .csv holds
    the same, a line an item.

    Example:
        lookalike encode runs/photos photos/ -o codes.npz

    Arguments:
        run: folder of the trained model.
        data: name or path of other data of the same kind; the run's own where it is left out.
        split: which items; all of them, in their original order, or one split.
        limit: the first so many only.
        out: where to: a name that ends in .npz or .csv; by default codes.npz in the run folder.
        overwrite: replace what is there.
        seed: of dynamic binarisation.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the model has no encoder; the output exists or cannot be written; the data do not fit.
    """
    opened = Run.open(run)
    path, ending = output(out, opened.path / "codes.npz", (".npz", ".csv"), overwrite=overwrite)
    _, model, _ = open_run(opened, device)
    through = model if isinstance(model, Informed) and model.informed else encoder(model, "encode")
    found = open_run_data(opened, data, **how)
    items = found.items if split == "all" else found.splits[split]
    z, y = _codes(model, through, items, limit, seed)
    columns: dict[str, Any] = {"item": torch.arange(len(z)), **_names(found, split, len(z))}
    if ending == ".npz":
        labels = {} if y is None else {"y": y, "classes": list(found.spec.classes)}
        write(path, npz(z=z, **columns, **labels))
    else:
        import pandas as pd

        if y is not None:
            columns["label"] = label_words(found.spec, y) if found.spec.classes else y
        codes = {f"z{i}": z[:, i].numpy() for i in range(z.shape[1])}
        write(path, csv(pd.DataFrame({**columns, **codes})))
    return Report(
        title=f"{len(z)} codes of length {z.shape[1]}: {found.name} through {opened.path}",
        facts={"run": str(opened.path), "data": found.name, "split": split, "n": len(z), "latent": z.shape[1]},
        files=[str(path)],
    )


@torch.inference_mode()
def _codes(
    model: Model, through: Encoder | Informed, items: Split, limit: int | None, seed: int
) -> tuple[Tensor, Tensor | None]:
    """z float32, shape (N, latent), and y, shape (N,), or None, on the CPU."""
    n = len(items) if limit is None else min(limit, len(items))
    progress = counter("encoding")
    codes: list[Tensor] = []
    labels: list[Tensor] = []
    done = 0
    with seeded(seed, model.device):
        for x, y in items.all(n, chunk=items_at_once(model.spec.dims), seed=seed):
            given = None if y is None else y.to(model.device)
            codes.append(through.encode(onto(x, model.device), given).cpu().float())
            labels += [] if y is None else [y.cpu()]
            done += len(x)
            progress(done, n)
    return torch.cat(codes), torch.cat(labels) if labels else None


def _names(data: Data, split: str, n: int) -> dict[str, list[str]]:
    """File names of the items, where they are known."""
    return {"name": list(data.names[:n])} if split == "all" and any(data.names) else {}
