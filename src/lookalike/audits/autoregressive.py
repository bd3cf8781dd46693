"""Autoregressive models: nothing is seen but the past, each conditional is a distribution, and steps agree with a pass.

d params(pixel, channel) / d x  =  0   but for what comes before, exactly;    and for how much of that not 0

sum over k of  p(k | before)  =  1,         sum over pixels of  log p(x_ij | before)  =  log p(x)
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from ..models.base import Model
from ..models.tractable.autoregressive.made import MADE
from ..models.tractable.autoregressive.raster import Raster
from ..nn.likelihoods import Pixelwise
from ..nn.masked import MaskedMLP, MaskedSteps
from ..nn.rows import Columns
from .base import Finding, Subject, UnfitError, largest

NO_PAST = "{} does not draw entry by entry from those before"


class Place(NamedTuple):
    """An entry of an image."""

    i: int
    j: int
    c: int


def causality(subject: Subject) -> Finding:
    """The gradient of conditionals by what does not come before: exactly 0. How much of the past is seen is said."""
    model = subject.double
    if isinstance(model, Raster):
        return _of_pixels(model, subject)
    if isinstance(model, MADE):
        return _of_entries(model, subject)
    raise UnfitError(NO_PAST.format(type(model).__name__))


def _of_pixels(model: Raster, subject: Subject) -> Finding:
    C, H, W = model.spec.shape
    by_channel = model.likelihood.by_channel
    rows, columns = ({0, side // 2, side - 1} for side in (H, W))
    places = [Place(*p) for p in itertools.product(sorted(rows), sorted(columns), range(C if by_channel else 1))]
    which = torch.arange(len(places)) % len(subject.x)
    x, y = subject.x[which].double(), None if subject.y is None else subject.y[which]
    past = torch.stack([_before(model, place) for place in places])
    x.requires_grad_()
    params = [_own(model, row, place) for row, place in zip(model.params(x, y), places, strict=True)]
    draw = torch.Generator().manual_seed(subject.seed)
    total = torch.stack([(p * torch.randn(p.shape, generator=draw, dtype=p.dtype)).sum() for p in params]).sum()
    (gradient,) = torch.autograd.grad(total, x)
    # What is rounded, looked up or compared has no gradient: so all that is not the past is changed as well.
    with torch.no_grad():
        other = torch.where(past, x, (x + 0.5) % 1)
        moved = [_own(model, row, place) for row, place in zip(model.params(other, y), places, strict=True)]
        moves = [a - b for a, b in zip(moved, params, strict=True)]
    seen = (gradient.abs() * past) > 0
    share = (seen.sum() / past.sum().clamp(min=1)).item()
    return Finding(
        largest(gradient[~past], *moves),
        0.0,
        f"{len(places)} conditionals by all pixels, and with all but the past changed; {share:.0%} of the past is seen",
        _view(gradient.abs().sum(1), past.any(1), places),
    )


def _before(model: Raster, place: Place) -> Tensor:
    """Which entries of an image come before one, bool, shape (C, H, W)."""
    C, H, W = model.spec.shape
    index = torch.arange(H * W).view(1, H, W).expand(C, H, W) * C
    here = (place.i * W + place.j) * C
    if model.likelihood.by_channel:
        index, here = index + torch.arange(C).view(C, 1, 1), here + place.c
    return index < here


def _own(model: Raster, params: Tensor, place: Place) -> Tensor:
    """The params of an entry, of those of an image, (width, H, W)."""
    mine = params[:, place.i, place.j]
    return mine[place.c :: model.spec.shape[0]] if model.likelihood.by_channel else mine


def _view(weight: Tensor, past: Tensor, places: list[Place]) -> Tensor:
    """What each of the places sees: brighter for more, red for what it must not, blue for itself, (N, 3, H, W)."""
    first = [n for n, place in enumerate(places) if place.c == 0]
    weight, past = weight[first], past[first]
    top = weight.flatten(1).amax(1).clamp(min=1e-300)[:, None, None]
    brightness = (weight / top).pow(0.25)  # far pixels weigh little
    grey = 0.85 * brightness + 0.1 * past
    leaked = (brightness > 0) & ~past
    picture = torch.stack([torch.where(leaked, 1.0, grey), grey, grey], 1)
    for n, place in enumerate(places[m] for m in first):
        if not leaked[n, place.i, place.j]:
            picture[n, :, place.i, place.j] = picture.new_tensor([0.1, 0.4, 1.0])
    return picture.float()


def _of_entries(model: MADE, subject: Subject) -> Finding:
    """Of a row, in whatever order: what depends on what must have no circle."""
    h = model.door.enter(subject.x[:1].double())
    D = h.numel()
    if D > 1024:
        raise UnfitError(f"a row of {D} entries is too long to ask each what it sees")
    found = [_of_ordering(model, h, subject, k) for k in range(len(model.orders))]
    leak, share = max(leak for leak, _ in found), sum(share for _, share in found) / len(found)
    several = f" in each of {len(found)} orderings" if len(found) > 1 else ""
    return Finding(leak, 0.0, f"what depends on what has no circle{several}; {min(share, 1):.0%} of the past is seen")


def _of_ordering(model: MADE, h: Tensor, subject: Subject, ordering: int) -> tuple[float, float]:
    """The largest derivative in a circle, and the share of the past that is seen."""
    y = None if subject.y is None else subject.y[:1]
    params = torch.autograd.functional.jacobian(lambda h: model.params(h, y, ordering).flatten(), h)
    jacobian, D = params.flatten(1).abs(), h.numel()
    if isinstance(model.likelihood, Columns):
        sizes = model.likelihood.widths
        of_output = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
        of_input = torch.arange(len(sizes)).repeat_interleave(torch.tensor([f.width for f in model.door.fields]))
    else:
        of_output, of_input = torch.arange(len(jacobian)) % D, torch.arange(D)
    n = int(of_input.max()) + 1
    sees = torch.zeros(n, n, dtype=torch.float64)
    sees.index_put_((of_output[:, None].expand_as(jacobian), of_input.expand_as(jacobian)), jacobian, accumulate=True)
    left = list(range(n))
    while free := [d for d in left if not sees[d, left].any()]:
        left = [d for d in left if d not in free]
    pairs = n * (n - 1) / 2
    share = (sees > 0).sum().item() / pairs if pairs else 1.0
    return sees[left][:, left].max().item() if left else 0.0, share


def chain(subject: Subject) -> Finding:
    """Conditionals sum to 1 and their product is p(x)."""
    model = subject.double
    likelihood = getattr(model, "likelihood", None)
    if not isinstance(model, Raster | MADE) or not isinstance(likelihood, Pixelwise):
        raise UnfitError(f"{type(model).__name__} has no conditionals of pixels")
    if isinstance(model, MADE) and len(model.orders) > 1:
        raise UnfitError("a mixture of orderings has no conditionals of its own")
    with torch.inference_mode():
        x = subject.x.double()
        params = _params(model, x, subject.y)
        B, C, H, W = x.shape
        params = params.movedim(1, -1).flatten(0, 2)  # (B H W, width)
        pixels = x.movedim(1, -1).flatten(0, 2)  # (B H W, C)
        off, total = [], torch.zeros(B, dtype=torch.float64)
        for c in range(C):
            known = pixels.clone()
            known[:, c:] = 0  # not to be looked at
            log_pmf = likelihood.log_pmf(params, known, c)
            off.append(log_pmf.logsumexp(1))
            k = (pixels[:, c : c + 1] * (model.spec.levels - 1)).round().long()
            total += log_pmf.gather(1, k).view(B, H * W).sum(1)
        log_prob = model.log_prob(x, subject.y)
    per_entry = (total - log_prob) / (C * H * W)
    return Finding(
        largest(*off, per_entry), 1e-6, f"{C * H * W} conditionals of {B} images sum to 1, their product is p(x); nats"
    )


def _cached_entries(model: MADE, network: MaskedMLP, subject: Subject) -> Finding:
    """Of a row, an entry at a time, in each ordering."""
    y = None if subject.y is None else subject.y[:2]
    differences = []
    with torch.inference_mode():
        h = model.door.enter(subject.x[:2].double())
        for k, order in enumerate(model.orders):
            whole = model.params(h, y, k).flatten(1)
            steps = MaskedSteps(network, len(h), k)
            steps.tell(0, model.one_hot(y, h))
            for degree, d in enumerate(order, start=1):
                differences.append((steps.outputs(degree) - whole[:, model.outputs_of == d]) / max(1.0, largest(whole)))
                steps.tell(degree, h.flatten(1)[:, model.fields[d].entries])
    return Finding(largest(*differences), 1e-9, f"{len(differences)} steps against one pass, {len(h)} items, relative")


def _params(model: Model, x: Tensor, y: Tensor | None) -> Tensor:
    if isinstance(model, MADE):
        return model.params(model.door.enter(x), y)
    assert isinstance(model, Raster)
    return model.params(x, y)


def cached(subject: Subject) -> Finding:
    """Params a pixel at a time, as images are drawn, against those of one pass."""
    model = subject.double
    if isinstance(model, MADE) and isinstance(model.network, MaskedMLP):
        return _cached_entries(model, model.network, subject)
    if not isinstance(model, Raster):
        raise UnfitError(f"{type(model).__name__} does not draw pixel by pixel with a cache")
    C, H, W = model.spec.shape
    likelihood = model.likelihood
    n = min(2, len(subject.x))
    x, y = subject.x[:n].double(), None if subject.y is None else subject.y[:n]
    with torch.inference_mode():
        whole = model.params(x, y)
        true, h = model.door.enter(x), model.door.enter(torch.zeros_like(x))
        step = model.network.stepper(n, y if model.conditional else None)
        worst = torch.zeros((), dtype=torch.float64)
        for i, j, c in itertools.product(range(H), range(W), range(C)):
            if c == 0 or likelihood.by_channel:
                mine = slice(c, None, C) if likelihood.by_channel else slice(None)
                difference = step(h, i, j, c)[:, mine] - whole[:, mine, i, j]
                worst = torch.maximum(worst, difference.abs().max())
            h[:, c, i, j] = true[:, c, i, j]
    scale = max(1.0, largest(whole))
    return Finding(worst.item() / scale, 1e-9, f"{H * W} steps against one pass, {n} images, relative")
