"""How any trained model repairs: what it was trained for, by completion, or by its prior.

    trained     x_hat = net(x damaged)                                       a `Repairer` of that corruption
    completion  x_hidden ~ p(x_hidden | x_known)                             a `Completer`, of gaps; a draw or a mean
    search      z* = argmax_z log p(v | A G(z)) + log p(z),  x_hat = G(z*)   any model with a code

with v = A x + noise what there is of x, and A what is known to have happened: a mask, a blur, shrinking, the luminance.
The third is Bora et al. (2017), "Compressed sensing using generative models", arXiv:1703.03208; with a flow Asim et al.
(2020), arXiv:1905.11672. Salt, pepper and lost pixels are outliers, v ~ (1 - share) N(A G(z), s) + share U(0, 1), and
need not be found first. Of gaps only what is missing is taken from x_hat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import UserError
from ..metrics.reconstruction import psnr, ssim
from ..models.base import Completer, Latent, Model, Repairer
from ..models.tractable.autoregressive.raster import Raster
from ..nn.corruption import observe
from ..nn.memory import onto
from ..report import Metric, Report
from ..run import Run
from ..scores.search import Sight, search
from ..spec import Spec
from ..training.examine import squared_error
from ._common import open_run
from ._damaged import Damage, Damaged, to_repair
from ._output import FOLDER, column_names, counter, csv, npz, output, png, write, write_folder

Method = Literal["auto", "trained", "completion", "search"]
ENDINGS = {"images": (".png", ".npz", FOLDER), "points": (".csv", ".npz"), "table": (".csv", ".npz")}
MODEL_ERROR = 0.1
"""Deviation of an intensity from the best that a model can make: the noise of the search where there is no other."""
REDRAWN = 20
"""Times a cell is drawn again that a model would leave empty."""
AT_ONCE = 100


@dataclass(frozen=True)
class Plan:
    """How to repair, as the flags of the tasks say."""

    method: Method = "auto"
    draws: int = 1
    restarts: int = 4
    steps: int = 200
    seed: int = 0


def repair(
    run: str | Path | Run,
    data: str | None,
    damage: Damage,
    plan: Plan,
    *,
    task: str,
    spoil: bool,
    n: int,
    split: str,
    out: Path | None,
    overwrite: bool,
    device: str,
    how: dict[str, Any],
) -> Report:
    """Repair items and write them; all that the tasks share.

    Raises:
        UserError: the model cannot repair this; the output exists; the data do not fit.
    """
    opened = Run.open(run)
    endings = ENDINGS[opened.spec.kind]
    path, ending = output(out, opened.path / f"{task}{endings[0]}", endings, overwrite=overwrite)
    _, model, _ = open_run(opened, device)
    method = chosen(model, damage, plan.method)
    items = to_repair(opened, data, damage, spoil=spoil, n=n, split=split, seed=plan.seed, how=how)
    x_hat = repaired(model, items, damage, plan, method)
    _write(opened.spec, path, ending, items, x_hat)
    notes = _notes(model, damage, method)
    if opened.spec.kind != "images" and x_hat.isnan().any():
        notes.append(f"{int(x_hat.isnan().sum())} cells are left empty: the model finds a gap there likely")
    return Report(
        title=f"{len(x_hat)} items of {items.where} repaired by {opened.path}",
        facts={"run": str(opened.path), "data": items.where, "n": len(x_hat), "corruption": damage.kind}
        | {"method": method, "amount": damage.amount, "mask": damage.mask or ""},
        metrics=None if items.truth is None else figures(model, items, x_hat, method),
        files=[str(path)],
        notes=notes,
    )


def chosen(model: Model, damage: Damage, method: Method) -> Method:
    """The method, or the best that this model has for such damage.

    Raises:
        UserError: it has none, or not that one; it says who does.
    """
    images, name = model.spec.kind == "images", type(model).__name__
    trained = isinstance(model, Repairer) and (
        damage.kind in model.corruption.kinds or (damage.gaps and "masking" in model.corruption.kinds)
    )
    can: dict[Method, bool] = {
        "trained": trained,
        "completion": damage.gaps and isinstance(model, Completer),
        "search": images and isinstance(model, Latent),
    }
    if method == "auto":
        able = [known for known, yes in can.items() if yes]
        if able:
            return able[0]
    elif can[method]:
        return method
    kinds = f" ({name} was trained against {', '.join(model.corruption.kinds)})" if isinstance(model, Repairer) else ""
    ways = {"trained": f"train restorer or denoising-ae with --corruption {damage.kind}"}
    ways |= {"completion": "train made, pixelcnn, vae or realnvp, which can complete"} if damage.gaps else {}
    ways |= {"search": "train a model with a code (vae, conv-ae, r3, realnvp)"} if images else {}
    advice = ways.get(method, f"this needs another way: {'; '.join(ways[m] for m in ways)}")
    raise UserError(f"{name} cannot undo {damage.kind}{'' if method == 'auto' else f' by {method}'}{kinds}: {advice}.")


@torch.inference_mode()
def repaired(model: Model, items: Damaged, damage: Damage, plan: Plan, method: Method) -> Tensor:
    """Items repaired by one of the methods, on the CPU, shape (N, *spec.shape)."""
    told = counter("repairing")
    if method == "search":
        return _searched(model, items, damage, plan)
    parts = []
    for start in range(0, len(items.x), AT_ONCE):
        at = slice(start, start + AT_ONCE)
        x = onto(items.x[at], model.device)
        known = None if items.known is None else items.known[at].to(model.device).expand_as(x)
        if method == "trained":
            assert isinstance(model, Repairer)
            x_hat = model.repair(x, known).to(x.dtype)
            x_hat = x_hat if known is None else torch.where(known, x, x_hat)
        else:
            assert known is not None
            y = None if items.y is None or not model.conditional else items.y[at].to(model.device)
            x_hat = _completed(model, x, known, y, plan, told)
        parts.append(x_hat.cpu())
        told(min(start + AT_ONCE, len(items.x)), len(items.x))
    return torch.cat(parts)


def _completed(model: Model, x: Tensor, known: Tensor, y: Tensor | None, plan: Plan, told: Any) -> Tensor:
    """The mean of draws of what is missing; of a table one draw, and again where it is a gap itself."""
    how: dict[str, Any] = {}
    if isinstance(model, Raster):
        how["watch"] = lambda image, rows: told(rows, image.shape[2])
    assert isinstance(model, Completer)
    if model.spec.kind == "images":
        draws = [model.complete(x, known, y, seed=plan.seed + i, **how) for i in range(plan.draws)]
        return torch.stack(draws).mean(0) if plan.draws > 1 else draws[0]
    empty = x.new_tensor([c.categories.index("") if "" in c.categories else -1.0 for c in model.spec.columns])
    x_hat = model.complete(x, known, y, seed=plan.seed)
    for again in range(1, REDRAWN):
        gap = ~known & (x_hat.isnan() | (x_hat == empty))
        if not gap.any():
            break
        x_hat = torch.where(gap, model.complete(x, known, y, seed=plan.seed + again), x_hat)
    return x_hat


def _searched(model: Model, items: Damaged, damage: Damage, plan: Plan) -> Tensor:
    noise = max(damage.amount, MODEL_ERROR) if damage.kind == "gaussian" else MODEL_ERROR
    outliers = damage.amount if damage.kind == "salt-pepper" else 0.0
    if damage.kind == "masking" and items.known is None:
        outliers = damage.amount
    known = None if items.known is None else items.known.expand_as(items.seen)
    sight = Sight(lambda x: observe(damage.kind, x, damage.amount), items.seen, known, noise, outliers)
    assert isinstance(model, Latent)
    counted = items.seen[0].numel() if known is None else known.flatten(1).sum(1).float().mean().item()
    found = search(
        model,
        items.x,
        items.y,
        sight=sight,
        restarts=plan.restarts,
        steps=plan.steps,
        # |v - A x|^2 / 2 s^2 + |z|^2 / 2 by what the search has: means of both, the first with weight 1
        prior_weight=model.latent * noise**2 / counted,
        seed=plan.seed,
        progress=counter("searching"),
    )
    return found.x_hat if items.known is None else torch.where(items.known, items.x, found.x_hat.to(items.x))


def figures(model: Model, items: Damaged, x_hat: Tensor, method: str) -> dict[str, Metric]:
    """PSNR and SSIM of the repaired and of the damaged items; of rows their squared error, at the door."""
    assert items.truth is not None
    protocol = {**items.protocol, "method": method}
    x = items.truth
    if model.spec.kind != "images":
        place = torch.device("cpu")
        errors = {name: squared_error(model.to(place), x, of) for name, of in (("mse", x_hat), ("mse_before", items.x))}
        return {name: _mean(of, "", protocol) for name, of in errors.items()}
    found = {}
    for suffix, of in (("", x_hat.float()), ("_before", items.before.float())):
        found[f"psnr{suffix}"] = _mean(psnr(x, of).clamp(max=100), "dB", protocol)
        found[f"ssim{suffix}"] = _mean(ssim(x, of), "", protocol)
    return found


def _mean(values: Tensor, unit: str, protocol: Mapping[str, Any]) -> Metric:
    values = values.double()
    error = values.std().item() / math.sqrt(len(values)) if len(values) > 1 else None
    return Metric(values.mean().item(), "estimate", unit, protocol, error)


def _notes(model: Model, damage: Damage, method: str) -> list[str]:
    if method != "trained" or not isinstance(model, Repairer):
        return []
    of = model.corruption
    trained = of.amounts.get(damage.kind)
    if trained is None or of.blind or damage.amount == trained or damage.gaps:
        return []
    return [f"it was trained against {damage.kind} of {trained:g}, and this is {damage.amount:g}: it may not suit"]


def _write(spec: Spec, path: Path, ending: str, items: Damaged, x_hat: Tensor) -> None:
    if ending == ".npz":
        arrays = {"before": items.before, "x_hat": x_hat}
        arrays |= {} if items.truth is None else {"x": items.truth}
        arrays |= {} if items.known is None else {"known": items.known.expand_as(items.x).contiguous()}
        write(path, npz(**arrays, **column_names(spec)))
    elif ending == ".csv":
        from ..data.tables import to_frame

        write(path, csv(to_frame(spec, x_hat)))
    elif ending == FOLDER:
        write_folder(path, x_hat, [str(Path(name).with_suffix(".png")) for name in items.names])
    else:
        from ..pictures import repairs

        write(path, png(repairs(items.before, x_hat.to(items.x), items.truth)))
