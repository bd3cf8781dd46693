"""`python -m benchmarks.repair`: repair by a trained network against repair by what has learnt nothing.

    restore    a `restorer` of each data set, trained on all corruptions at once, against the methods of `classical`,
               each with the settings that were best on validation images: PSNR, SSIM and a distance of features
    faces      a deep autoencoder 625-2000-1000-500-30 on 25x25 patches of faces (Hinton & Salakhutdinov 2006) against
               30 principal components and a convolutional one, squared error on people never seen
    stack      layer by layer first, or all at once: a stack of sigmoid layers, the same steps

Needs scikit-image, and LOOKALIKE_DATA with the data sets (UTKFace as utkface64/utkface64_train.zip, Olivetti as
olivetti/olivettifaces.mat). Results are added to results/repair/FIGURES.json, and results/repair.md is made of that.

    python -m benchmarks.repair [restore faces stack] [--data mnist ...] [--length 8000] [--quick]
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import lookalike
from lookalike.data import Data, open_data
from lookalike.data.download import data_folder
from lookalike.metrics.features import RandomConv
from lookalike.metrics.reconstruction import mse, psnr, ssim
from lookalike.models.autoencoder.restorer import Restorer
from lookalike.models.base import seeded
from lookalike.nn.conv import ConvDecoder, ConvEncoder
from lookalike.nn.corruption import GRAIN, KINDS, VOID, Corruption, blur, enlarge, lift, observe
from lookalike.nn.mlp import mlp
from lookalike.recipe import find
from lookalike.training.loop import fit

from .classical import METHODS, curve, repaired, settings
from .environment import machine

RESULTS = Path(__file__).parent / "results"
TESTED, TUNED_ON = 60, 20
SMOOTHED = 0.45
"""Pixels by which faces are blurred before they are made smaller: with it PCA-30 has about the error published, 135."""
MARGIN = 2.0
"""Decibels by which ours is to win."""
Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the steps that were asked for, and write what they found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("steps", nargs="*", default=["restore", "faces", "stack"])
    parser.add_argument("--data", nargs="+", default=list(DATA))
    parser.add_argument("--cases", nargs="+", help="of the faces, these networks only")
    parser.add_argument("--runs", type=Path, default=Path("runs/repair"), help="where trained networks are kept")
    parser.add_argument("--quick", action="store_true", help="a few steps of each, written nowhere")
    parser.add_argument("--length", type=int, default=8000, help="steps of each restorer")
    given = parser.parse_args(arguments)
    given.length = 20 if given.quick else given.length
    for step in given.steps:
        for rows in STEPS[step](given):
            print(json.dumps(rows), flush=True)
            if not given.quick:
                write(rows)


def _faces() -> Data:
    return open_data(str(data_folder() / "utkface64" / "utkface64_train.zip"), size=32)


DATA: dict[str, Callable[[], Data]] = {
    "mnist": lambda: open_data("mnist"),
    "fashion-mnist": lambda: open_data("fashion-mnist"),
    "faces": _faces,
}


# Restoration


def restore(given: argparse.Namespace) -> Any:
    """One row for each data set and corruption."""
    for name in given.data:
        data = DATA[name]()
        model, minutes = _restorer(given.runs, name, data, steps=given.length)
        tested = data.test.thinned(8 if given.quick else TESTED).first(TESTED)[0]
        tuned_on = data.valid.thinned(4 if given.quick else TUNED_ON).first(TUNED_ON)[0]
        features = RandomConv(data.spec.shape)
        for kind in model.corruption.kinds:
            yield {
                "step": "restore",
                "data": name,
                "kind": kind,
                "steps": given.length,
                "minutes": minutes,
            } | _compared(model, kind, tested, tuned_on, features)


def _restorer(runs: Path, name: str, data: Data, steps: int) -> tuple[Restorer, float]:
    """A network for all corruptions that this data can have, and the minutes of one core that it took."""
    path = runs / f"{name}-{steps}"
    kinds = tuple(kind for kind in KINDS if kind != "grey" or data.spec.shape[0] == 3)
    began = time.process_time()
    if not (path / "checkpoints" / f"{steps:08d}").exists():
        where, options = data.name, {"size": 32} if name == "faces" else {}
        how: dict[str, Any] = {"steps": steps, "corruption": kinds, "ema": 0.995, "batch_size": 32, "device": "cpu"}
        lookalike.train("restorer", where, out=path, resume=True, **how, **options)
        (path / "minutes").write_text(f"{(time.process_time() - began) / 60:.2f}")
    model: Restorer = lookalike.load(path)
    spent = path / "minutes"
    return model, float(spent.read_text()) if spent.exists() else math.nan


@torch.inference_mode()
def _compared(model: Restorer, kind: str, tested: Tensor, tuned_on: Tensor, features: nn.Module) -> Row:
    """Ours and each classical method on the same damaged images."""
    shape, amount = model.spec.shape, model.corruption.amounts[kind]
    seen, known = _damaged(model, kind, tested)
    damaged = _shown(kind, seen, shape)
    rows = {"damaged": _figures(tested, damaged, features)}
    ours = model.repair(lift(kind, seen, shape, amount))
    rows["ours"] = _figures(tested, torch.where(known, damaged, ours) if kind in ("masking", "box") else ours, features)
    given, truth = _evidence(kind, *_damaged(model, kind, tuned_on), shape), _numpy(tuned_on)
    for name, (method, grid) in METHODS[kind].items():
        tried = []
        for how in settings(grid):
            found = repaired(method, *given, how)
            bend = curve(found, truth)
            for cubic in (None, bend):
                error = ((_bent(found, cubic) - truth) ** 2).mean((1, 2, 3))
                tried.append((-np.log(error.clip(1e-9)).mean(), how, cubic))
        _, how, cubic = max(tried, key=lambda of: of[0])
        found = _bent(repaired(method, *_evidence(kind, seen, known, shape), how), cubic)
        told = {**how, **({} if cubic is None else {"curve": 1})}
        rows[name] = {**_figures(tested, torch.from_numpy(found).movedim(3, 1).float(), features), "settings": told}
    return {"items": len(tested), "amount": model.corruption.amounts[kind], "rows": rows}


def _damaged(model: Restorer, kind: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """What is left of images, on the levels of a file, and where they are known, (B, 1, H, W)."""
    whole = torch.ones_like(x[:, :1], dtype=torch.bool)
    with seeded(7, x.device):
        if kind in ("blur", "shrink2", "shrink4", "grey"):
            seen = observe(kind, x, model.corruption.amounts[kind])
            noise = GRAIN * torch.randn_like(seen) if kind == "blur" else 0.0
            return model.door.on_levels((seen + noise).clamp(0, 1)), whole
        damaged = model.door.leave(Corruption(model.door, (kind,))(model.door.enter(x)))
    known = (damaged != VOID).any(1, keepdim=True) if kind in ("masking", "box") else whole
    return torch.where(known, model.door.on_levels(damaged), damaged), known


def _shown(kind: str, seen: Tensor, shape: tuple[int, ...]) -> Tensor:
    """What is left of images, at their size."""
    if kind in ("shrink2", "shrink4"):
        return enlarge(seen, shape[1:])
    return seen.expand(-1, shape[0], -1, -1)


def _evidence(kind: str, seen: Tensor, known: Tensor, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """What a classical method is given: damaged images, and what else is known of them."""
    small = kind in ("shrink2", "shrink4")
    return _numpy(_shown(kind, seen, shape)), _numpy(seen) if small else known[:, 0].numpy()


def _bent(found: np.ndarray, cubic: np.ndarray | None) -> np.ndarray:
    return found if cubic is None else np.polyval(cubic, found).clip(0, 1)


def _numpy(x: Tensor) -> np.ndarray:
    return x.movedim(1, 3).double().numpy()


def _figures(x: Tensor, x_hat: Tensor, features: nn.Module) -> Row:
    real, made = features(2 * x - 1), features(2 * x_hat - 1)
    away = ((made - real) / real.std(0)).square().mean(1)
    each = psnr(x, x_hat).clamp(max=60)  # of an image that is whole again it would be infinite
    return {
        "psnr": each.mean().item(),
        "psnr_error": each.std().item() / math.sqrt(len(each)),
        "ssim": ssim(x, x_hat).mean().item(),
        "features": away.mean().item(),
    }


# Faces


def faces(given: argparse.Namespace) -> Any:
    """Squared error on patches of people that were never seen, 30 numbers a code."""
    from scipy.io import loadmat

    pixels = loadmat(data_folder() / "olivetti" / "olivettifaces.mat")["faces"]
    photos = torch.from_numpy(pixels.T.reshape(400, 64, 64).transpose(0, 2, 1).copy()).float() / 255
    photos = blur(photos[:, None], torch.full((400, 1, 1, 1), SMOOTHED), SMOOTHED)[:, 0]
    train, test = _patches(photos[:300], 40_000, seed=0), _patches(photos[300:], 4_000, seed=1)
    spec = open_data(train[:100].numpy(), split=(0.8, 0.1, 0.1)).spec
    mean = train.flatten(1).mean(0)
    V = torch.linalg.svd(train.flatten(1)[:10_000] - mean, full_matrices=False).Vh[:30]
    flat = test.flatten(1) - mean
    unit = 1 / (train.flatten(1) - mean).square().mean().item()  # the mean variance of a pixel is to be 1
    error = (flat - flat @ V.T @ V).square().sum(1).mean().item() * unit
    yield {"step": "faces", "name": "PCA-30", "error": error, "seed": 0}
    data = open_data((train * 255).round().byte().numpy())
    for name, (networks, lr, steps) in _face_networks(mean, V).items():
        if given.cases and name not in given.cases:
            continue
        how = {"latent": 30, "steps": 20 if given.quick else steps, "batch_size": 64, "ema": 0.99, "lr": lr}
        recipe = find("deep-ae").resolved("images", how)
        torch.manual_seed(0)
        model, began = recipe.model(spec, **networks()), time.process_time()
        trained = fit(model, data, recipe.numbers).average.eval()
        spent = (time.process_time() - began) / 60
        with torch.inference_mode():
            error = (mse(test, trained.reconstruct(test)) * 625).mean().item() * unit
        yield {"step": "faces", "name": name, "error": error, "steps": how["steps"], "minutes": spent, "seed": 0}


def _face_networks(mean: Tensor, V: Tensor) -> dict[str, tuple[Callable[[], dict[str, nn.Module]], float, int]]:
    """Encoder and decoder by name, with the rate and the steps they are trained with."""
    shape, widths = (1, 25, 25), (625, 2000, 1000, 500, 30)

    def deep(begun: bool) -> dict[str, nn.Module]:
        encoder, decoder = mlp(widths, nn.SiLU), mlp(widths[::-1], nn.SiLU)
        if begun:  # at the door, where h = 2 x - 1
            begin(encoder, V, -V @ (2 * mean - 1))
            begin(decoder, V.T, 2 * mean - 1)
        return {"encoder": encoder, "decoder": nn.Sequential(decoder, nn.Unflatten(1, shape))}

    def convolutions() -> dict[str, nn.Module]:
        return {"encoder": ConvEncoder(shape, 30, 32), "decoder": ConvDecoder(30, shape, 32)}

    return {
        "625-2000-1000-500-30": (lambda: deep(False), 5e-4, 600),
        "625-2000-1000-500-30, begun as PCA": (lambda: deep(True), 5e-4, 1500),
        "convolutions": (convolutions, 1e-3, 600),
    }


@torch.no_grad()
def begin(net: nn.Sequential, W: Tensor, b: Tensor) -> None:
    """Have a perceptron of SiLU layers be W h + b at first, exactly, by units in pairs: silu(a) - silu(-a) = a.

    It takes the place of training layers one by one: all others of its units begin at random, and unheard.
    """
    layers = [layer for layer in net if isinstance(layer, nn.Linear)]
    n = min(W.shape)
    inner, last = (W, torch.eye(n)) if W.shape[0] == n else (torch.eye(n), W)
    into, out = torch.cat([inner, -inner]), torch.cat([torch.eye(n), -torch.eye(n)], 1)
    shift = b if W.shape[0] == n else torch.zeros(n)
    for i, layer in enumerate(layers):
        if i == len(layers) - 1:
            layer.weight.zero_()
            layer.weight[:, : 2 * n] = last @ out
            layer.bias.copy_(torch.zeros(n) if W.shape[0] == n else b)
            continue
        layer.weight[: 2 * n] = 0
        layer.weight[: 2 * n, : into.shape[1] if i == 0 else 2 * n] = into if i == 0 else torch.cat([out, -out])
        layer.bias[: 2 * n] = torch.cat([shift, -shift]) if i == 0 else 0


def _patches(photos: Tensor, n: int, seed: int) -> Tensor:
    """25x25 patches of faces, turned, made smaller and moved at random, (n, 1, 25, 25).

    As Hinton & Salakhutdinov (2006), supplement: turned by up to 90 degrees, made 1.4 to 1.8 times smaller, cropped.
    """
    draw = torch.Generator().manual_seed(seed)
    which = torch.randint(len(photos), (n,), generator=draw)
    angle = (torch.rand(n, generator=draw) - 0.5) * math.pi
    scale = 25 / 64 * (1.4 + 0.4 * torch.rand(n, generator=draw))
    shift = 0.2 * (2 * torch.rand(n, 2, generator=draw) - 1)
    turn = torch.stack([angle.cos() * scale, -angle.sin() * scale, angle.sin() * scale, angle.cos() * scale], 1)
    theta = torch.cat([turn.view(n, 2, 2), shift[:, :, None]], 2)
    made = []
    for at, of in zip(theta.split(4000), which.split(4000), strict=True):
        places = nn.functional.affine_grid(at, [len(at), 1, 25, 25], align_corners=False)
        made.append(nn.functional.grid_sample(photos[of][:, None], places, "bilinear", "border", align_corners=False))
    return torch.cat(made)


# A deep stack


def stack(given: argparse.Namespace) -> Any:
    """Validation error of a deep stack of sigmoid layers, trained as a whole or layer by layer first."""
    data = open_data("mnist-5k")
    for seed in range(1 if given.quick else 2):
        for pretrain in (0, 150):
            steps = 10 if given.quick else 1500
            options = {"hidden": (400, 300, 200, 100), "pretrain": min(pretrain, steps // 10), "steps": steps}
            recipe = find("stacked-ae").resolved("images", {**options, "latent": 20, "ema": 0.99})
            torch.manual_seed(seed)
            model = recipe.model(data.spec)
            trained = fit(model, data, recipe.numbers, seed=seed).average.eval()
            x = data.test.first(500)[0]
            with torch.inference_mode(), seeded(0, x.device):
                spoilt, found = trained.attempt(x)
            figures = {"psnr": psnr(x, found).mean().item(), "damaged": psnr(x, spoilt).mean().item()}
            yield {"step": "stack", "pretrain": pretrain, "seed": seed, "steps": steps, **figures}


STEPS: dict[str, Callable[[argparse.Namespace], Any]] = {"restore": restore, "faces": faces, "stack": stack}


# What was found


def write(row: Row) -> None:
    """Add a row to those there are, in place of one of the same case, and make the page of all."""
    path = RESULTS / "repair" / "FIGURES.json"
    known = json.loads(path.read_text()) if path.exists() else []
    row = {**row, "torch": torch.__version__, "processor": machine("cpu")["processor"], "date": time.strftime("%F")}
    known = [old for old in known if _case(old) != _case(row)] + [row]
    path.write_text(json.dumps(known, indent=1) + "\n")
    (RESULTS / "repair.md").write_text(page(known))


def _case(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in ("step", "data", "kind", "name", "pretrain", "seed"))


def page(known: Sequence[Row]) -> str:
    """All that was found, in words and tables."""
    parts = ["# Repair\n\n*Written by `python -m benchmarks.repair`; do not edit. What it does stands at its head.*\n"]
    of = {step: [row for row in known if row["step"] == step] for step in STEPS}
    if of["restore"]:
        parts.append(_restore_page(of["restore"]))
    if of["faces"]:
        lines = [
            [r["name"], f"{r['error']:.2f}", str(r.get("steps", "")), f"{r['minutes']:.1f}" if "minutes" in r else ""]
            for r in of["faces"]
        ]
        head = ["network", "squared error a patch", "steps", "minutes of a core"]
        parts.append(
            "## Faces: 25x25 patches of people never seen, 30 numbers a code\n\nSquared error summed over 625 "
            "pixels whose mean variance is 1, so 625 is the mean patch's; 4,000 patches, one seed.\n\n"
            + _table(head, lines)
        )
    if of["stack"]:
        parts.append(_stack_page(of["stack"]))
    machines = sorted({f"{row['processor']}, one thread, torch {row['torch']}, {row['date']}" for row in known})
    return "\n".join([*parts, *machines, ""])


def _restore_page(rows: Sequence[Row]) -> str:
    lines, won = [], 0
    for row in rows:
        ours, others = row["rows"]["ours"], {n: r for n, r in row["rows"].items() if n not in ("ours", "damaged")}
        best = max(others, key=lambda name: others[name]["psnr"])
        gain = ours["psnr"] - others[best]["psnr"]
        won += gain >= MARGIN
        amount = f" {row['amount']:g}" if row["amount"] else ""
        for name in ("damaged", *sorted(others, key=lambda n: others[n]["psnr"]), "ours"):
            found = row["rows"][name]
            first = [row["data"], row["kind"] + amount] if name == "damaged" else ["", ""]
            told = ", ".join(f"{k} {v:g}" for k, v in found.get("settings", {}).items())
            figures = [f"{found['psnr']:.2f} ± {found['psnr_error']:.2f}", f"{found['ssim']:.3f}"]
            gained = f"{gain:+.1f} dB: {'met' if gain >= MARGIN else 'MISSED'}" if name == "ours" else ""
            lines.append([*first, name, *figures, f"{found['features']:.3f}", told, gained])
    head = ["data", "corruption", "method", "PSNR, dB", "SSIM", "feature distance", "settings", "ours over the best"]
    told = {row["data"]: f"{row['data']} {row['steps']:,} steps, {row['minutes']:.1f} minutes" for row in rows}
    spent = "; ".join(told.values())
    return (
        "## Restoration\n\n"
        f"Ours wins by at least {MARGIN:g} dB in {won} of {len(rows)} cases. {rows[0]['items']} test images, one "
        f"standard error over them; one seed; settings by {TUNED_ON} validation images, and a cubic of "
        "intensities fitted on them where that helps (`curve`). One `restorer` a data set, for all "
        f"corruptions at once: {spent} of one core. The feature distance is the "
        "mean squared one of `random-conv`, each feature in deviations of the whole images.\n\n" + _table(head, lines)
    )


def _stack_page(rows: Sequence[Row]) -> str:
    lines = []
    for pretrain in sorted({row["pretrain"] for row in rows}):
        found = torch.tensor([row["psnr"] for row in rows if row["pretrain"] == pretrain])
        spread = f"{found.mean():.2f} ± {found.std():.2f}" if len(found) > 1 else f"{found.mean():.2f}"
        lines.append([str(pretrain), spread, str(len(found))])
    head = ["steps for each layer first", "PSNR of repaired, dB", "seeds"]
    return (
        "## A stack of sigmoid layers, 784-400-300-200-100-20 and back\n\n"
        f"mnist-5k with 30 % of the pixels void (PSNR {rows[0]['damaged']:.2f} dB), {rows[0]['steps']:,} steps in all; "
        "the deviation is over seeds.\n\n" + _table(head, lines)
    )


def _table(head: list[str], lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines)) + "\n"


if __name__ == "__main__":
    main()
