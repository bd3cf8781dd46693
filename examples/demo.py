"""What `make demo` runs: a model of each branch of the taxonomy, trained here and now, on one page.

    make demo                              (again: goes on where it was stopped, or is done at once)
    python examples/demo.py --fresh        from the start

It is also the shortest tour of the Python API: train, load, evaluate, open_data.
"""

from __future__ import annotations

import html
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch

import lookalike
from lookalike.models.base import pictured
from lookalike.page import CSS
from lookalike.pictures import grid, in_plane
from lookalike.pictures.chart import DATA, FAINT, INK, MODEL, figure_of, picture_of

OUT = Path("runs/demo")


class Branch(NamedTuple):
    """A branch, how it is shown here, and the metrics that matter for it."""

    name: str
    equation: str
    recipe: str
    data: str
    metrics: tuple[str, ...]
    options: dict[str, Any]


# Fewer steps than the recipes take by default: about three minutes in all on two cores.
BRANCHES = [
    Branch("autoencoder", "no density:   z = f(x),   x̂ = g(z)", "deep-ae", "mnist-5k", ("psnr",), {"steps": 2000}),
    Branch(
        "variational autoencoder",
        "a bound:   log p(x) ≥ E log p(x|z) - KL(q(z|x) ‖ p(z))",
        "mlp-vae",
        "mnist-5k",
        ("nats_iw",),
        {"binarize": "dynamic", "steps": 4000, "latent": 8},
    ),
    Branch(
        "autoregressive model",
        "exact:   log p(x) = Σ log p(xᵢ | x₁ … xᵢ₋₁)",
        "pixelcnn",
        "digits",
        ("bits_per_dim",),
        {"steps": 1000, "kernel": 3, "layers": 4, "lr": 2e-3},
    ),
    Branch(
        "normalising flow",
        "exact:   log p(x) = log p(z) + log |det dz/dx|",
        "realnvp",
        "moons",
        ("kl_to_truth",),
        {"steps": 1500},
    ),
    Branch(
        "generative adversarial network",
        "no density:   a discriminator compares G(z) with data",
        "r3",
        "ring8",
        ("modes_found", "high_quality"),
        {"steps": 4000, "batch_size": 128},
    ),
]


def main(fresh: bool = False) -> None:
    """Train what is not yet trained, then draw and link it all."""
    shown = []
    for i, branch in enumerate(BRANCHES, 1):
        print(f"\n{i} of {len(BRANCHES)}: {branch.name}", flush=True)
        out = OUT / branch.recipe
        lookalike.train(branch.recipe, branch.data, out=out, resume=not fresh, overwrite=fresh, **branch.options)
        report = lookalike.evaluate(out, metrics=branch.metrics)
        shown.append((branch, out, "\n".join(f"{k.replace('_', ' ')} {v}" for k, v in report.metrics.items())))
    overview(shown).save(OUT / "overview.png")
    (OUT / "index.html").write_text(index(shown))
    print(f"\nthe overview:  {OUT / 'overview.png'}\nthe reports:   {(OUT / 'index.html').resolve().as_uri()}")


def overview(shown: list[tuple[Branch, Path, str]]) -> Any:
    """A row for each branch: what it is and how good, the data, and what the model makes."""
    figure, axes = figure_of(len(shown), 4, 1.9, 1.9)
    for (branch, out, figures), row in zip(shown, zip(*[iter(axes)] * 4, strict=True), strict=True):
        words, beside, *panels = row
        beside.remove()
        words.set_axis_off()
        lines = [(0.95, 12, "bold", branch.name), (0.71, 9, "normal", branch.equation)]
        lines += [(0.51, 9, "normal", f"{branch.recipe} on {branch.data}"), (0.31, 9, "bold", figures)]
        for height, size, weight, line in lines:
            words.text(0, height, line, size=size, weight=weight, color=INK, va="top").set_in_layout(False)
        draw(branch, out, *panels)
    return picture_of(figure)


@torch.no_grad()
def draw(branch: Branch, out: Path, left: Any, right: Any) -> None:
    """Held-out data, and beside it what the model makes: new items, or of an autoencoder these again."""
    model = lookalike.load(out)
    data = lookalike.open_data(branch.data)
    x, _ = data.test.first(1000 if in_plane(data.spec) else 36)
    made = model.reconstruct(x) if branch.recipe == "deep-ae" else pictured(model, len(x))
    left.set_title("data", size=9, color=INK)
    right.set_title("reconstructed" if branch.recipe == "deep-ae" else "made", size=9, color=INK)
    for ax, items, colour in ((left, x, DATA), (right, made, MODEL)):
        ax.set(xticks=[], yticks=[], box_aspect=1)
        ax.spines[:].set(visible=True, color=FAINT)
        if in_plane(data.spec):
            limits = {"xlim": left.get_xlim(), "ylim": left.get_ylim()} if ax is right else {}
            ax.scatter(*items.T, s=3, color=colour, alpha=0.7, linewidths=0)
            ax.set(**limits)
        else:
            ax.imshow(grid(items, scale=4))


def index(shown: list[tuple[Branch, Path, str]]) -> str:
    """A page with the overview and a link to the report of each run."""
    rows = "".join(
        f'<tr><td><a href="{out.name}/report.html">{branch.name}</a></td><td>{branch.recipe} on {branch.data}</td>'
        f"<td>{html.escape(figure)}</td></tr>"
        for branch, out, figure in shown
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Lookalike: a model of each branch</title>'
        f"<style>{CSS}</style><h1>A model of each branch</h1><table>{rows}</table>"
        f'<figure><img src="overview.png" alt="data and what each model makes of it"></figure></html>\n'
    )


if __name__ == "__main__":
    try:
        main(fresh="--fresh" in sys.argv[1:])
    except lookalike.UserError as mistake:
        sys.exit(f"error: {mistake}\nFrom the start: python examples/demo.py --fresh")
    except KeyboardInterrupt:
        print("what is done is kept; go on with: make demo", file=sys.stderr)
        sys.exit(130)
