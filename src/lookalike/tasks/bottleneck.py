"""How large a code must be: a recipe trained with several, its error beside that of as many principal components.

Errors are squared, in the mean over numbers of held-out items: intensities in [0, 1], or standardised columns and
one-hot categories. With a linear decoder no code of k numbers does better on the training items than k principal
components (Eckart & Young 1936); what lies below that curve is what bending is worth.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Annotated, Any

import torch

from ..data import Data
from ..data.base import Split
from ..errors import UserError
from ..models.base import Encoder
from ..options import Range, options_of
from ..recipe import find
from ..report import Report
from ..run import Run
from ._common import open_run, open_run_data, say
from ._output import csv, png, write
from ._vectors import Numbers, flat, unflat
from .reconstruct import reconstructions
from .train import train

MOST = 20_000
"""Training items that principal components are computed of."""
HELD_OUT = 5000

Spread = tuple[float, float]


def bottleneck(
    recipe: str,
    data: str | Any,
    *,
    sizes: Annotated[tuple[int, ...], Range(1)] = (1, 2, 4, 8, 16, 32),
    steps: Annotated[int | None, Range(1)] = None,
    minutes: Annotated[float | None, Range(0, above=True)] = None,
    out: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
    **how: Any,
) -> Report:
    """Train a recipe with codes of several sizes, and draw its error against that of principal components.

    The folder holds a run for each size (latent-2, ...), error.png and error.csv.

    Example:
        lookalike bottleneck deep-ae mnist-5k --sizes 1,2,4,8,16,32 --steps 2000 -o runs/sizes
        lookalike bottleneck vae table.csv --sizes 2,4 -o runs/sizes

    Arguments:
        recipe: what is trained; it has an encoder and an option latent.
        data: a name, a folder, an archive or a file.
        sizes: of the codes.
        steps: of each training; by default the recipe's.
        minutes: wall-clock limit of each training.
        out: the folder; by default runs/bottleneck-RECIPE-DATA.
        resume: go on where it was stopped.
        overwrite: start anew where there is such a folder already.
        seed: of everything random.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the recipe has no size of a code or no encoder; the folder exists; the data cannot be learnt from.
    """
    if "latent" not in options_of(find(recipe).build):
        raise UserError(f"{recipe} has no option latent, the size of its code: take an autoencoder or a VAE.")
    folder = out or Path("runs") / f"bottleneck-{recipe}-{Path(str(data)).stem if isinstance(data, str) else 'array'}"
    _settle(folder, resume=resume, overwrite=overwrite)
    numbers: dict[str, Any] = {
        name: value for name, value in (("steps", steps), ("minutes", minutes)) if value is not None
    }
    ours: dict[int, Spread] = {}
    found: Data | None = None
    for size in sorted(set(sizes)):
        say(f"a code of {size}: {folder / f'latent-{size}'}")
        where = folder / f"latent-{size}"
        again: dict[str, Any] = {"resume": resume and where.exists(), "overwrite": overwrite}
        run = train(recipe, data, out=where, seed=seed, device=device, latent=size, **again, **numbers, **how)
        found = found or (open_run_data(run) if run.header["data"]["reopens"] else open_run_data(run, data))
        ours[size] = _error(run, found, seed, device)
    assert found is not None
    pca = _principal(found, list(ours), seed)
    write(folder / "error.csv", _csv(ours, pca))
    from ..pictures.codes import sizes as curves

    units = "intensities in [0, 1]" if found.spec.kind == "images" else "standardised columns"
    drawn = curves({recipe: ours, "principal components": pca}, f"squared error ({units})", f"{found.name}, test split")
    write(folder / "error.png", png(drawn))
    rows = [
        {"latent": size, "error": ours[size][0], "pca": pca[size][0] if size in pca else "-"}
        | {"ratio": round(ours[size][0] / pca[size][0], 3) if size in pca else "-"}
        for size in ours
    ]
    return Report(
        title=f"squared error of {recipe} on held-out {found.name}, by the size of the code",
        facts={"recipe": recipe, "data": found.name, "sizes": list(ours), "runs": str(folder)},
        rows=rows,
        files=[str(folder / name) for name in ("error.png", "error.csv")],
    )


def _settle(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Whether the folder may be used, before any work is done; what is overwritten is nothing but ours."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    strangers = [p.name for p in folder.iterdir() if not _is_ours(p)] if folder.is_dir() else [folder.name]
    if strangers:
        raise UserError(f"{folder} holds more than such runs ({strangers[0]}). Choose another -o.")
    if not (resume or overwrite):
        raise UserError(f"{folder} exists. Choose another -o, --resume to go on, or --overwrite to start anew.")
    for path in folder.iterdir() if overwrite else ():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _is_ours(path: Path) -> bool:
    return path.name in ("error.png", "error.csv") or (path.name.startswith("latent-") and path.is_dir())


def _held_out(data: Data) -> Split:
    return (data.test if len(data.test) else data.valid).thinned(HELD_OUT)


def _error(run: Run, found: Data, seed: int, device: str) -> Spread:
    """The squared error of a run on held-out items, and its standard error."""
    _, model, _ = open_run(run, device)
    if not isinstance(model, Encoder) or model.lossless:
        raise UserError(f"{run.recipe.name} has no code that loses anything: take an autoencoder or a VAE.")
    items = _held_out(found)
    x, x_hat = reconstructions(model, items.first(len(items), seed), seed)
    return _spread(flat(found.spec, x) - flat(found.spec, x_hat.to(x)))


def _principal(data: Data, sizes: list[int], seed: int) -> dict[int, Spread]:
    """The same of principal components of the training items."""
    from sklearn.decomposition import PCA

    v = flat(data.spec, data.train.thinned(MOST).first(MOST, seed)[0])
    items = _held_out(data)
    v_test = flat(data.spec, items.first(len(items), seed)[0])
    fits = [size for size in sizes if size <= min(v.shape)]
    if not fits:
        return {}
    fitted = PCA(max(fits), random_state=0).fit(v)
    z, errors = fitted.transform(v_test), {}
    for size in fits:
        v_hat = fitted.mean_ + z[:, :size] @ fitted.components_[:size]
        if data.spec.kind == "images":  # as a decoder's, intensities stay in their range
            v_hat = flat(data.spec, unflat(data.spec, v_hat))
        errors[size] = _spread(v_test - v_hat)
    return errors


def _spread(wrong: Numbers) -> Spread:
    each = torch.from_numpy(wrong).square().mean(1)
    return each.mean().item(), each.std().item() / math.sqrt(len(each)) if len(each) > 1 else 0.0


def _csv(ours: dict[int, Spread], pca: dict[int, Spread]) -> bytes:
    import pandas as pd

    nan = (math.nan, math.nan)
    columns = {"latent": list(ours), "error": [error for error, _ in ours.values()]}
    columns |= {"standard_error": [spread for _, spread in ours.values()]}
    columns |= {"pca": [pca.get(size, nan)[0] for size in ours]}
    columns |= {"pca_standard_error": [pca.get(size, nan)[1] for size in ours]}
    return csv(pd.DataFrame(columns))
