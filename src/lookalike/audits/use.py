"""What a user relies on, whatever the model: companions, seeds, temperature, completion, and that weights are kept."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model
from torch import Tensor

from ..models.base import Completer, Encoder, Explicit, Implicit, Judging, Latent, Model, seeded
from ..models.implicit.gan.gan import GAN
from ..models.tractable.autoregressive.raster import Raster
from ..models.tractable.flow.flow import Flow
from .base import Finding, Subject, UnfitError, apart, largest

NO_SAMPLES = "{} cannot be sampled: it has no prior on its code"


def companions(subject: Subject) -> Finding:
    """What is computed of an item does not change when the rest of its batch does."""
    model = subject.double
    x, y = subject.x.double(), subject.y
    others = torch.cat([x[:1], x[1:].flip(0)[: len(x) - 2], x[:1]])  # the first stays, and all places are filled
    if torch.equal(others.nan_to_num(0), x.nan_to_num(0)):
        others = torch.cat([x[:1], x[:1].expand_as(x[1:])])
    differences, tried = [], []
    with torch.inference_mode():
        for name, compute in _of_items(model, y):
            differences.append(apart(compute(x)[0].double(), compute(others)[0].double()))
            tried.append(name)
        if isinstance(model, Raster):
            differences.append(_drawn_with_others(model, subject))
            tried.append("samples")
        if isinstance(model, Latent):
            z = torch.randn(len(x), model.latent, generator=_generator(subject), dtype=torch.float64)
            both = [model.decode(z, y), model.decode(torch.cat([z[:1], z[1:].neg() + 1]), y)]
            differences.append(apart(both[0][0].double(), both[1][0].double()))
            tried.append("decode")
    if not tried:
        raise UnfitError(f"nothing of {type(model).__name__} is computed item by item")
    return Finding(largest(*differences), 1e-9, f"{', '.join(tried)} of one item, with two sets of companions")


def _of_items(model: Model, y: Tensor | None) -> Iterator[tuple[str, Callable[[Tensor], Tensor]]]:
    if isinstance(model, Explicit) and model.exact:
        yield "log_prob", lambda x: model.log_prob(x, y)
    if isinstance(model, Encoder):
        yield "encode", lambda x: model.encode(x, y)
    if isinstance(model, Judging) and not _of_packs(model):
        yield "judge", lambda x: model.judge(x, x, y)[1]


def _drawn_with_others(model: Raster, subject: Subject) -> Tensor:
    """The first of two images drawn from the same numbers, its companion from others."""
    u = torch.rand(2, *model.spec.shape, generator=_generator(subject), dtype=torch.float64)
    y = None if subject.y is None or not model.conditional else subject.y[:2]
    blank, known = torch.zeros_like(u), torch.zeros(1, dtype=torch.bool)
    images = [
        model.drawn(blank, known, uniform, model.network.stepper(2, y))
        for uniform in (u, torch.stack([u[0], 1 - u[1].clamp(min=1e-6)]))
    ]
    return images[0][0] - images[1][0]


def saving(subject: Subject) -> Finding:
    """Weights saved, and loaded into a blank model, give the same bits."""
    if subject.blank is None:
        raise UnfitError("it is made of networks of your own: make the same anew and compare log_prob")
    again = subject.blank().to(next(subject.model.parameters()).dtype)
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "weights.safetensors")
        save_model(subject.model, file)
        load_model(again, file)
    again.eval()
    with torch.inference_mode():
        pairs = list(zip(_outcomes(subject.model, subject), _outcomes(again, subject), strict=True))
    names = ", ".join(name for (name, _), _ in pairs)
    return Finding(largest(*(apart(a, b) for (_, a), (_, b) in pairs)), 0.0, f"{names}, saved and loaded")


def _outcomes(model: Model, subject: Subject) -> Iterator[tuple[str, Tensor]]:
    """All that depends on the weights, with the same noise each time."""
    x, y = subject.x, subject.y
    if isinstance(model, Explicit):
        with seeded(subject.seed, x.device):
            yield "log_prob", model.log_prob(x, y).double()
    if isinstance(model, Encoder):
        yield "encode", model.encode(x, y).double()
        yield "reconstruct", model.reconstruct(x, y).double()
    if isinstance(model, Explicit | Implicit) and not model.draws_slowly:
        yield "sample", _sample(model, seed=subject.seed).double()


def seeds(subject: Subject) -> Finding:
    """The same seed gives the same samples, another one others, and none moves the user's own random numbers."""
    model = _sampled(subject)
    with torch.inference_mode():
        before = torch.get_rng_state()
        one, again, other = (_sample(model, seed=seed) for seed in (1, 1, 2))
        disturbed = float(not torch.equal(before, torch.get_rng_state()))
    same = float(torch.equal(one.nan_to_num(0), other.nan_to_num(0)))
    return Finding(
        max(largest(apart(one, again)), disturbed, same), 0.0, "seed 1 twice alike, seed 2 not, outside as if not drawn"
    )


def coldest(subject: Subject) -> Finding:
    """At temperature 0 a draw is the same whatever the seed, and pixel by pixel the likeliest."""
    model = _sampled(subject)
    with torch.inference_mode():
        one, other = (_sample(model, seed=seed, temperature=0.0) for seed in (1, 2))
        differences, note = [apart(one, other)], "seeds 1 and 2 alike"
        if isinstance(model, Raster):
            differences.append(_short_of_the_mode(model, one, None if subject.y is None else subject.y[: len(one)]))
            note += ", each pixel the likeliest"
    return Finding(largest(*differences), 1e-5, note)


def _short_of_the_mode(model: Raster, x: Tensor, y: Tensor | None) -> Tensor:
    """By how much each intensity is less likely than the likeliest, nats."""
    C = x.shape[1]
    params = model.params(x, y).movedim(1, -1).flatten(0, 2)
    pixels = x.movedim(1, -1).flatten(0, 2)
    short = []
    for c in range(C):
        log_pmf = model.likelihood.log_pmf(params, pixels, c)
        k = (pixels[:, c : c + 1] * (model.spec.levels - 1)).round().long()
        short.append(log_pmf.amax(1) - log_pmf.gather(1, k)[:, 0])
    return torch.cat(short) * (torch.cat(short) > 1e-3)  # what is equally likely to rounding is a tie


def completion(subject: Subject) -> Finding:
    """What is known stays as it is, and what the mask hides is not looked at."""
    model: Any = subject.model
    if not isinstance(model, Completer):
        raise UnfitError(f"{type(model).__name__} does not draw what is missing")
    if isinstance(model, Flow) and model.spec.kind == "images":
        raise UnfitError("a flow takes hundreds of passes to complete an image: it is audited on points and tables")
    x, y = subject.x[:2], None if subject.y is None else subject.y[:2]
    mask = torch.zeros(x.shape[1:], dtype=torch.bool)
    rows = mask if mask.dim() == 1 else mask.movedim(-2, 0)
    rows[: max(1, len(rows) // 2)] = True
    with torch.inference_mode():
        whole = model.complete(x, mask, y, seed=subject.seed)
        hidden = torch.where(mask, x, x.flip(0))
        again = model.complete(hidden, mask, y, seed=subject.seed)
    kept = apart(whole, x)[mask.expand_as(x)]
    return Finding(largest(kept, apart(whole, again)), 0.0, "known half unchanged; what was hidden does not matter")


def _sampled(subject: Subject) -> Explicit | Implicit:
    if not isinstance(subject.model, Explicit | Implicit):
        raise UnfitError(NO_SAMPLES.format(type(subject.model).__name__))
    return subject.model


def _sample(model: Explicit | Implicit, *, seed: int, temperature: float = 1.0) -> Tensor:
    n = 2 if model.draws_slowly else 8
    y = torch.arange(n) % len(model.spec.classes) if model.conditional else None
    return model.sample(n, y, seed=seed, temperature=temperature)


def _generator(subject: Subject) -> torch.Generator:
    return torch.Generator().manual_seed(subject.seed)


def _of_packs(model: Model) -> bool:
    """Whether items are judged several at once, which makes companions of them."""
    return isinstance(model, GAN) and model.view.pack > 1
