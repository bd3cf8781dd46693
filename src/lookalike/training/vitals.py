"""What the doctor measures of a model at a milestone: cheap, without gradients, and the same for the same weights.

With f = features of samples, r = features of training items (as many), both in standard deviations of r:

    spread      tr Cov f / tr Cov r                                        0 where all samples are one
    rank        exp H(l_f) / exp H(l_r)                                    H: entropy of a covariance's eigenvalues l
    missing     share of r in cells (k-means of r) with under a tenth of their due of f
    coverage    share of r whose ball, out to its 5th neighbour in r, holds an f
    support     P(|r - r'| < e) / P(|f - f'| < e)                          birthday paradox, with P(|r - r'| < e) = 1 %
    win         1 - (the discriminator's loss on held-out items) / (its equilibrium)
    memorises   P(D(training item) > D(held-out item))                     1/2 where it learnt none by heart
    copied      share of samples three times as near to one training item as to any other; beside it, of held-out items
    active      share of the code's numbers that vary over held-out items
    decoded     tr Cov of reconstructions / tr Cov of what they are of     0 where the decoder ignores the code
    dead        the largest share of a layer's ReLU units that were 0 for all that went through
    border      the largest share of the edges of images that vary in data and not in samples

Effective rank: Roy & Vetterli (2007), EUSIPCO. Cells: Richardson & Weiss (2018), "On GANs and GMMs", arXiv:1805.12018.
Coverage: Naeem et al. (2020), arXiv:2002.09797. Support: Arora & Zhang (2017), arXiv:1706.08224; differs from it: near
pairs are counted, at the distance at which data have one pair in a hundred, in place of a person's look. Copies: the
test of Yoon et al. (2023), "Diffusion probabilistic models generalize when they fail to memorize". Active numbers:
Burda et al. (2016), arXiv:1509.00519. The averaged model is measured, which is the one that is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..data.base import Data, Split
from ..metrics.features import FEATURES, feature_space
from ..metrics.latent import active_units
from ..models.base import Bounded, Coded, Encoder, Explicit, Implicit, Judging, Model, seeded

FEWEST, MOST = 200, 1000  # samples that are looked at
SHARE = 0.02  # of the passes of a training that looking may take
A_STEP = 6  # passes of an item: two players, forward and backward at twice its cost
A_LOOK = 4  # passes of an item that is looked at: drawn, its features, judged twice
REFERENCE = 2  # times as many training items, from which the cells are made
PER_CELL = 20  # samples due in a cell
DUE = PER_CELL / 2  # in a cell at the least, for their absence to mean something
TOGETHER = 0.05  # of the usual distance of two centres: those nearer are parts of one cluster
FEW = 0.1  # of its due: a cell with less lacks samples
NEIGHBOURS = 5
NEAR_PAIRS = 0.01
COPY = 1 / 3
BY_HEART = 2000  # training items up to which a training looks for copies of them
ACTIVE = 0.01  # variance of a posterior mean, of a prior of variance 1
VARIES = 0.05  # deviation of intensities from which on an edge of data is no background
FLAT = 0.1  # of the data's: an edge of samples that varies less is constant


class Reference(NamedTuple):
    """What samples are compared with, of the training split.

    Arguments:
        mean, std, features: of the training items in the feature space, each (D,); they in its deviations, (N, D).
        centres, cell: (K, D), and the cell each belongs to, (K,): those of one narrow cluster are one.
        due: each cell's share of the items, (K,).
        radii: to the 5th neighbour of each of the first n items, (n,).
        near: the distance within which one pair in a hundred is.
        spread, rank: their total variance and effective rank.
    """

    mean: Tensor
    std: Tensor
    features: Tensor
    centres: Tensor
    cell: Tensor
    due: Tensor
    radii: Tensor
    near: Tensor
    spread: Tensor
    rank: Tensor


class Vitals:
    """Measures a model at milestones; gives the figures by name.

    Arguments:
        between: items trained on between two milestones; None where the clock decides.
        thorough: after a training, when there is time: more samples, of any model that can be drawn from.
    """

    def __init__(self, data: Data, seed: int, between: int | None, thorough: bool = False) -> None:
        self.data, self.seed, self.between, self.thorough = data, seed, between, thorough
        budget = math.inf if between is None or thorough else SHARE * A_STEP * between / A_LOOK
        self.n = int(max(FEWEST, min(MOST, budget)))
        self.every = 1 if math.isinf(budget) else max(1, math.ceil(self.n / max(budget, 1e-9)))
        self.space: nn.Module | None = None
        self.reference: Reference | None = None

    def due(self, milestone: int) -> bool:
        """Whether this milestone is to be measured: short trainings are at fewer."""
        return milestone % self.every == 0

    @torch.inference_mode()
    def __call__(self, model: Model) -> dict[str, float]:
        """The figures of a model in eval mode, as many as it allows."""
        device = model.device
        x, y = _onto(*_some(self.data.train, self.n, self.seed), device)
        held, held_y = _onto(*_some(self.data.valid, self.n, self.seed), device)
        found: dict[str, Tensor] = {}
        with _watched(model) as dead, seeded(self.seed, device):
            drawn = isinstance(model, Implicit) or (self.thorough and not model.draws_slowly)
            if drawn and isinstance(model, Implicit | Explicit):
                n = self.n if y is None or not model.conditional else len(x)
                fake = model.sample(n, y if model.conditional else None)
                found |= self._of_samples(model, fake) if isinstance(model, Implicit) else {}
                found |= self._copies(model, fake, held)
                if isinstance(model, Judging):
                    found |= _contest(model, (x, y), (held, held_y), fake)
            if isinstance(model, Encoder):
                found |= _code(model, held, held_y)
        figures = {name: float(value) for name, value in found.items()}
        if dead:
            figures["dead"] = max(float((most <= 0).float().mean()) for most in dead.values())
        return figures

    def _of_samples(self, model: Model, fake: Tensor) -> dict[str, Tensor]:
        reference = self._reference(model)
        n = len(reference.radii)
        f, r = (self._features(model, fake) - reference.mean) / reference.std, reference.features
        cells = reference.cell[_nearest(f, reference.centres)].bincount(minlength=len(reference.due)) / len(f)
        to_data = _distances(r[:n], f)
        near = _near(f, reference.near)
        found = {
            "spread": _spread(f) / reference.spread,
            "rank": _effective_rank(f) / reference.rank,
            "missing": reference.due[(cells < FEW * reference.due) & (reference.due * len(f) >= DUE)].sum(),
            "coverage": (to_data.amin(1) <= reference.radii).double().mean(),
            "support": NEAR_PAIRS / near.clamp(min=NEAR_PAIRS / 10),
        }
        if self.data.spec.kind == "images":
            found |= _border(_some(self.data.train, self.n, self.seed)[0].to(fake.device), fake)
        return found

    def _reference(self, model: Model) -> Reference:
        if self.reference is None:
            name = feature_space("auto", self.data.spec.kind)
            self.space = FEATURES[name].build(self.data.spec).to(model.device)
            x, _ = _some(self.data.train, REFERENCE * self.n, self.seed)
            x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(self.seed))]  # data may be sorted
            raw = self._features(model, _onto(x, None, model.device)[0])
            mean, std = raw.mean(0), raw.std(0, correction=0)
            std = torch.where(std > 1e-6 * (1 + mean.abs()), std, 1.0)  # a constant feature keeps its scale
            r = (raw - mean) / std
            n = min(self.n, len(r))
            centres = _k_means(r, max(2, n // PER_CELL))
            cell = _joined(centres)
            due = cell[_nearest(r, centres)].bincount(minlength=len(centres)) / len(r)
            radii = _distances(r[:n], r[:n]).kthvalue(min(NEIGHBOURS + 1, n), dim=1).values
            i, j = torch.triu_indices(n, n, 1, device=r.device)
            near = _distances(r[:n], r[:n])[i, j].quantile(NEAR_PAIRS)
            self.reference = Reference(mean, std, r, centres, cell, due, radii, near, _spread(r), _effective_rank(r))
        return self.reference

    def _features(self, model: Model, x: Tensor) -> Tensor:
        assert self.space is not None
        space = self.space
        return torch.cat([space(model.door.enter(part).float()) for part in x.split(250)])

    def _copies(self, model: Model, fake: Tensor, held: Tensor) -> dict[str, Tensor]:
        train = self.data.train
        if len(train) > BY_HEART and not self.thorough:
            return {}
        items, _ = _onto(*_some(train, 10 * BY_HEART, self.seed), model.device)
        h = model.door.enter(items).float().flatten(1)
        shares = [_copied(model.door.enter(x).float().flatten(1), h) for x in (fake, held)]
        return {"copied": shares[0], "copied_by_chance": shares[1]}


def _some(split: Split, n: int, seed: int) -> tuple[Tensor, Tensor | None]:
    return split.thinned(n).first(n, seed)


def _onto(x: Tensor, y: Tensor | None, device: torch.device) -> tuple[Tensor, Tensor | None]:
    x = x.to(device, torch.float32 if device.type == "mps" and x.dtype == torch.float64 else x.dtype)
    return x, None if y is None else y.to(device)


@contextmanager
def _watched(model: nn.Module) -> Iterator[Mapping[str, Tensor]]:
    """The most that each unit of each ReLU gave while open, by the layer's name; a channel is one unit."""
    most: dict[str, Tensor] = {}

    def watch(name: str) -> torch.utils.hooks.RemovableHandle:
        def note(_module: nn.Module, _inputs: object, out: Tensor) -> None:
            now = out.transpose(0, 1).flatten(1).amax(1) if out.dim() > 1 else out
            most[name] = torch.maximum(most[name], now) if name in most else now

        return module.register_forward_hook(note)

    handles = []
    for name, module in model.named_modules():
        if isinstance(module, nn.ReLU):
            handles.append(watch(name))
    try:
        yield most
    finally:
        for handle in handles:
            handle.remove()


def _contest(
    model: Judging, seen: tuple[Tensor, Tensor | None], held: tuple[Tensor, Tensor | None], fake: Tensor
) -> dict[str, Tensor]:
    """How far the discriminator is ahead on held-out items, and how far it knows the training items by heart."""
    _, train_logits, _ = _judged(model, *seen, fake)
    loss, held_logits, _ = _judged(model, *held, fake)
    n, m = len(train_logits), len(held_logits)
    # Mann & Whitney (1947): the standard error where the logits of both are alike.
    error = torch.tensor(math.sqrt((n + m + 1) / (12 * n * m)))
    found = {"memorises": _above(train_logits, held_logits), "memorises_error": error}
    if model.equilibrium > 0:
        found["win"] = 1 - loss / model.equilibrium
    return found


def _judged(model: Judging, x: Tensor, y: Tensor | None, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    n = min(len(x), len(fake))
    return model.judge(x[:n], fake[:n], None if y is None else y[:n])


def _code(model: Any, x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
    """Of an Encoder: how much of its code is in use, and whether its decoder heeds it."""
    found: dict[str, Tensor] = {}
    y = y if model.conditional else None
    h, h_hat = (model.door.enter(part).float().flatten(1) for part in (x, model.reconstruct(x, y)))
    found["decoded"] = _spread(h_hat) / _spread(h).clamp(min=1e-12)
    if not isinstance(model, Coded):
        code = model.encode(x, y).flatten(1).double()
        # A posterior is held against its prior of variance 1; a plain code has no unit but its own.
        least = ACTIVE if isinstance(model, Bounded) else 1e-6 * float(code.var(0, correction=0).max())
        found["active"] = active_units(code, least) / code.shape[1]
        found["latent"] = torch.tensor(float(code.shape[1]))
    return found


def _spread(h: Tensor) -> Tensor:
    return h.double().var(0, correction=0).sum()


def _effective_rank(h: Tensor) -> Tensor:
    """exp of the entropy of the covariance's eigenvalues, shape (); 1 for items that are all the same."""
    h = h.double() - h.double().mean(0)
    values = torch.linalg.eigvalsh(h.T @ h / len(h)).clamp(min=0)
    shares = values / values.sum().clamp(min=1e-12)
    return torch.special.entr(shares).sum().exp()


def _distances(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a.float(), b.float())


def _near(h: Tensor, reach: Tensor) -> Tensor:
    """The share of pairs of rows that are nearer than that, shape ()."""
    n = len(h)
    return ((_distances(h, h) < reach).sum() - n).double() / (n * (n - 1))  # each row is near itself


def _nearest(h: Tensor, centres: Tensor) -> Tensor:
    return _distances(h, centres).argmin(1)


def _k_means(h: Tensor, k: int, rounds: int = 5) -> Tensor:
    """k centres of the rows of h: Lloyd's algorithm from rows drawn by squared distance to those drawn before."""
    h, draw = h.float(), torch.Generator().manual_seed(0)
    chosen, reach = [0], _distances(h[:1], h)[0]
    for _ in range(min(k, len(h)) - 1):
        weight = reach.square().double().cpu() + 1e-12
        chosen.append(int(torch.multinomial(weight, 1, generator=draw)))
        reach = torch.minimum(reach, _distances(h[chosen[-1:]], h)[0])
    centres = h[chosen]
    for _ in range(rounds):
        cells = _nearest(h, centres)
        sums = torch.zeros_like(centres).index_add_(0, cells, h)
        counts = cells.bincount(minlength=len(centres))[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
    return centres


def _joined(centres: Tensor) -> Tensor:
    """The least index among the centres that can be reached from each by short ways, (K,): it names the cell."""
    apart = _distances(centres, centres)
    short = apart <= TOGETHER * apart.median()
    cell = torch.arange(len(centres), device=centres.device)
    for _ in centres:
        cell = torch.where(short, cell, len(centres)).amin(1)
    return cell


def _above(a: Tensor, b: Tensor) -> Tensor:
    """P(an entry of a is above one of b), ties counted half, shape ()."""
    b = b.sort().values
    under = torch.searchsorted(b, a) + torch.searchsorted(b, a, right=True)
    return under.double().mean() / (2 * len(b))


def _copied(h: Tensor, train: Tensor) -> Tensor:
    """Share of rows whose nearest training item is at less than a third of the distance to the second nearest."""
    if len(train) < 2:
        return torch.tensor(0.0)
    near = torch.cat([_distances(part, train).topk(2, largest=False).values for part in h.split(250)])
    return (near[:, 0] < COPY * near[:, 1]).double().mean()


def _border(real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """Of the four edges of images, (B, C, H, W), that vary in data: the share that hardly does in samples."""
    real_edges, fake_edges = (_edge_deviations(x.float()) for x in (real, fake))
    varies = real_edges > VARIES
    flat = varies & (fake_edges < FLAT * real_edges)
    return {"border": flat.double().sum() / varies.sum().clamp(min=1)}


def _edge_deviations(x: Tensor) -> Tensor:
    """How much the pixels of each edge vary over images in the mean, shape (4,): top, bottom, left, right."""
    std = x.std(0, correction=0).mean(0)
    return torch.stack([std[0].mean(), std[-1].mean(), std[:, 0].mean(), std[:, -1].mean()])
