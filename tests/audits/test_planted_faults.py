"""A planted fault of each kind is found, and what is sound passes: an audit that cannot fail is none."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim.swa_utils import AveragedModel

from lookalike.audits.base import Subject, UnfitError, shake
from lookalike.audits.table import AUDITS
from lookalike.models.base import Bounded, Completer, Encoder, Implicit, Model, Turn, seeded
from lookalike.models.implicit.losses import OBJECTIVES
from lookalike.models.tractable.autoregressive.raster import CausalNetwork, naive
from lookalike.recipe import Training, find
from lookalike.spec import Column, Spec
from lookalike.training.ema import averaged

IMAGES = Spec("images", (1, 5, 5), 2)
COLOUR = Spec("images", (3, 4, 4), 4)
POINTS = Spec("points", (2,), columns=(Column("x", mean=1.0, std=2.0), Column("y", std=0.5)))
TINY: dict[str, dict[str, Any]] = {
    "pixelcnn": {"width": 8, "layers": 2, "kernel": 3},
    "made": {"width": 16, "depth": 1},
    "realnvp": {"width": 8, "depth": 1, "couplings": 4},
    "mlp-vae": {"hidden": (16,), "latent": 2},
    **{name: {"width": 4, "latent": 2} for name in ("r1", "wgan-gp", "sngan", "wgan", "ebgan", "infogan")},
}
"""Recipes and sizes, small."""


def items(spec: Spec) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    if spec.kind == "images":
        return torch.randint(spec.levels, (6, *spec.shape), generator=draw).float() / (spec.levels - 1)
    return torch.randn(6, *spec.shape, generator=draw, dtype=torch.float64)


def subject(recipe: str, spec: Spec, plant: Callable[[Any], None] = lambda _: None) -> Subject:
    """A small model of a recipe, every weight of it at work, with a fault planted in each model built of it."""
    resolved = find(recipe).resolved(spec.kind, TINY[recipe])

    def blank(spec: Spec = spec) -> Model:
        torch.manual_seed(0)
        model = resolved.model(spec)
        plant(model)
        return model

    def small(spec: Spec) -> Model:
        return shake(blank(spec), items(spec), None, 0)

    return Subject(small(spec), items(spec), None, blank, small, 0, resolved.numbers, averaged)


def leaky_mask(model: Any) -> None:
    """A pixel sees itself: a mask of type B where type A is right."""
    with torch.no_grad():
        for name, mask in model.network.left[0].named_buffers():
            if "mask" in name:
                mask.fill_(1)


class Peeking(CausalNetwork):
    """A network that looks, by rounding, at the pixel to the right: no gradient tells."""

    def __init__(self, network: CausalNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, h: Tensor, y: Tensor | None) -> Tensor:
        return self.network(h, y) + 0.01 * h.roll(-1, 3).sum(1, keepdim=True).round().detach()

    def stepper(self, n: int, y: Tensor | None) -> Any:
        return naive(self, y)


class Forgetful(CausalNetwork):
    """Its stepper leaves out the last layer of the head but for its bias."""

    def __init__(self, network: CausalNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, h: Tensor, y: Tensor | None) -> Tensor:
        return self.network(h, y)

    def stepper(self, n: int, y: Tensor | None) -> Any:
        without = copy.deepcopy(self.network)
        with torch.no_grad():
            next(iter(without.parameters())).mul_(0.99)
        return without.stepper(n, y)


class InBatch(nn.Module):
    """A network behind batch statistics, in eval mode too."""

    def __init__(self, network: nn.Module, features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(features, track_running_stats=False)
        self.network = network

    def forward(self, *given: Any) -> Tensor:
        x = given[0]
        return self.network(self.norm(x.flatten(1)).view_as(x), *given[1:])


def networks(wrap: Callable[[Any], nn.Module]) -> Callable[[Any], None]:
    def plant(model: Any) -> None:
        model.network = wrap(model.network)

    return plant


def replaced(module: nn.Module, **methods: Any) -> None:
    """Methods of a module, for it and its copies; each is given the module and what it was."""
    old = type(module)
    made = {
        name: lambda self, *g, _m=m, _n=name, **k: _m(self, getattr(old, _n), *g, **k) for name, m in methods.items()
    }
    module.__class__ = type(old.__name__, (old,), made)


def wrong_sign(model: Any) -> None:
    def forward(self: Any, old: Any, *given: Any) -> tuple[Tensor, Tensor]:
        z, log_det = old(self, *given)
        return z, -log_det

    replaced(model.bijection, forward=forward)


def lossy_way_back(model: Any) -> None:
    replaced(model.bijection, inverse=lambda self, old, *given: old(self, *given).mul(1e3).round().div(1e3))


def half_as_likely(model: Any) -> None:
    replaced(model, log_prob=lambda self, old, *given, **named: old(self, *given, **named) - math.log(2))


def log_sum_of_losses(model: Any) -> None:
    def log_prob(self: Any, old: Any, x: Tensor, y: Tensor | None = None, samples: int = 1) -> Tensor:
        losses = torch.stack([-old(self, x, y) for _ in range(samples)])
        return -(losses.logsumexp(0) - math.log(samples))

    replaced(model, log_prob=log_prob)


BUILT = itertools.count()


def unsaved(model: Any) -> None:
    """A number that is set while training and that no file holds."""
    extra = 0.1 * next(BUILT)
    replaced(model, log_prob=lambda self, old, *given: old(self, *given) + extra)


def always_warm(model: Any) -> None:
    sample = model.sample
    model.sample = lambda *given, temperature=1.0, **named: sample(*given, temperature=1.0, **named)


def too_cold(model: Any) -> None:
    sample = model.sample
    model.sample = lambda *given, temperature=1.0, **named: sample(*given, temperature=0.5 * temperature, **named)


def unseeded(model: Any) -> None:
    sample = model.sample
    model.sample = lambda *given, seed=None, **named: sample(*given, seed=None, **named)


def disturbing(model: Any) -> None:
    sample = model.sample

    def seeding(*given: Any, seed: int | None = None, **named: Any) -> Tensor:
        torch.manual_seed(seed or 0)
        return sample(*given, seed=None, **named)

    model.sample = seeding


def redrawn(model: Any) -> None:
    complete = model.complete
    model.complete = lambda x, mask, *given, **named: complete(x, torch.zeros_like(mask), *given, **named)


def other_constant(model: Any) -> None:
    mean_of_both = model.objective.discriminator
    model.objective = model.objective._replace(discriminator=lambda real, fake: mean_of_both(real, fake) / 2)


def saturating(model: Any) -> None:
    model.objective = model.objective._replace(generator=OBJECTIVES["minimax"].generator)


def norms_of(slopes: Callable[[Tensor], Tensor]) -> Callable[[Any], None]:
    """A 1-centred penalty on other norms than those of items."""

    def forward(self: Any, old: Any, critic: Any, real: Tensor, *rest: Any) -> Any:
        h = real.clone().requires_grad_()
        (slope,) = torch.autograd.grad(critic(h).sum(), h, create_graph=True)
        paid = (slopes(slope) - 1).square().mean()
        return paid, {"penalty": paid}

    return lambda model: replaced(model.price, forward=forward)


def without_its_half(model: Any) -> None:
    def forward(self: Any, old: Any, *given: Any) -> Any:
        paid, said = old(self, *given)
        return paid, {**said, "penalty": 2 * said["penalty"]}

    replaced(model.price, forward=forward)


def with_themselves(model: Any) -> None:
    def forward(self: Any, old: Any, codes: Tensor) -> Tensor:
        directions = nn.functional.normalize(codes, dim=1)
        return (directions @ directions.T).square().mean()

    replaced(model.pull_away, forward=forward)


class Frobenius(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight / weight.norm()


def of_another_norm(model: Any) -> None:
    for module in model.discriminator.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
            parametrize.register_parametrization(module, "weight", Frobenius())


def never_clipped(model: Any) -> None:
    def turns(self: Any, old: Any, *given: Any) -> Any:
        bound, self.bound = self.bound, 0.0
        yield from old(self, *given)
        self.bound = bound

    replaced(model, turns=turns)


def judged_in_batch(model: Any) -> None:
    model.discriminator = InBatch(model.discriminator, 2)


def without_a_gradient(model: Any) -> None:
    """The codes of samples are read, and the generator is not told."""

    class Still(type(model.told)):  # type: ignore[misc]
        def loss(self, fake: Tensor, *given: Any) -> Any:
            return super().loss(fake.detach() if len(given) == 2 else fake, *given)

    model.told = Still(*model.told)


FAULTS: dict[str, tuple[str, str, Spec, Callable[[Any], None]]] = {
    "a pixel that sees itself": ("causality", "pixelcnn", IMAGES, leaky_mask),
    "a channel that sees itself": ("causality", "pixelcnn", COLOUR, leaky_mask),
    "a glimpse without a gradient": ("causality", "pixelcnn", IMAGES, networks(Peeking)),
    "a row that sees itself": ("causality", "made", POINTS, lambda m: all_ones(m.network)),
    "a pixel that sees itself, by total probability": ("sums to one", "pixelcnn", IMAGES, leaky_mask),
    "conditionals that are none": ("chain rule", "pixelcnn", IMAGES, half_as_likely),
    "a cache that forgets": ("cached sampling", "pixelcnn", IMAGES, networks(Forgetful)),
    "a log-determinant of the wrong sign": ("log-determinant", "realnvp", POINTS, wrong_sign),
    "a density of the wrong mass": ("sums to one", "realnvp", POINTS, wrong_sign),
    "a way back that rounds": ("inverse", "realnvp", POINTS, lossy_way_back),
    "probabilities of no sum": ("sums to one", "mlp-vae", IMAGES, half_as_likely),
    "a log-sum of losses": ("bounds", "mlp-vae", IMAGES, log_sum_of_losses),
    "statistics of the batch": ("companions", "made", POINTS, networks(lambda net: InBatch(net, 2))),
    "a weight that is not saved": ("saving", "made", POINTS, unsaved),
    "a temperature that is not heard": ("temperature 0", "mlp-vae", IMAGES, always_warm),
    "samples that are too cold": ("samples follow p(x)", "made", POINTS, too_cold),
    "a seed that is not heard": ("seeds", "made", POINTS, unseeded),
    "a seed that moves the user's": ("seeds", "made", POINTS, disturbing),
    "completion that draws all anew": ("completion", "pixelcnn", IMAGES, redrawn),
    "a discriminator that looks at the batch": ("companions", "r1", POINTS, judged_in_batch),
    "half a loss": ("equilibrium", "r1", POINTS, other_constant),
    "a generator's loss that saturates": ("saturation", "r1", POINTS, saturating),
    "a norm over the batch": ("penalties", "wgan-gp", POINTS, norms_of(lambda s: s.norm())),
    "norms of rows of pixels": ("penalties", "wgan-gp", IMAGES, norms_of(lambda s: s.norm(dim=-1))),
    "R1 without its half": ("penalties", "r1", POINTS, without_its_half),
    "codes that are pulled from themselves": ("pull-away", "ebgan", POINTS, with_themselves),
    "a norm that is not spectral": ("spectral norm", "sngan", IMAGES, of_another_norm),
    "an information term without a gradient": ("what is told", "infogan", POINTS, without_a_gradient),
    "weights that are never clipped": ("clip", "wgan", POINTS, never_clipped),
}


def all_ones(network: nn.Module) -> None:
    with torch.no_grad():
        for name, mask in network.named_buffers():
            if "mask" in name:
                mask.fill_(1)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_and_without_it_the_audit_passes(fault: str) -> None:
    audit, recipe, spec, plant = FAULTS[fault]
    assert not AUDITS[audit](subject(recipe, spec, plant)).ok
    sound = AUDITS[audit](subject(recipe, spec))
    assert sound.ok, (sound.value, sound.tolerance, sound.note)


class Forgetting(AveragedModel):
    """An average whose buffers stay what they were."""

    def update_parameters(self, model: nn.Module) -> None:
        before = [b.clone() for b in self.module.buffers()]
        super().update_parameters(model)
        for buffer, old in zip(self.module.buffers(), before, strict=True):
            buffer.copy_(old)


KEPT: dict[str, dict[str, Any]] = {
    "averaging": {"averaged": lambda model, decay: Forgetting(model, use_buffers=True)},
    "optimiser's numbers": {"numbers": Training(betas=(0, 0.9))},
}
"""Faults in what is beside a model."""


@pytest.mark.parametrize("audit", KEPT)
def test_a_fault_beside_the_model_is_found_and_without_it_the_audit_passes(audit: str) -> None:
    sound = subject("r1", IMAGES)  # with batch statistics
    assert AUDITS[audit](sound).ok
    assert not AUDITS[audit](dataclasses.replace(sound, **KEPT[audit])).ok


def test_every_audit_has_a_fault_that_it_finds() -> None:
    assert {audit for audit, *_ in FAULTS.values()} | set(KEPT) == set(AUDITS)


class Line(Bounded, Encoder):
    """p(x) = N(x; 0, 1 + s^2) through z ~ N(0, 1), x = z + s e, with a posterior that is off: the bound is known."""

    latent, noise = 1, 0.5

    def __init__(self, spec: Spec, generous: float = 0.0) -> None:
        super().__init__(spec)
        self.shift = nn.Parameter(torch.zeros(()))
        self.generous = generous

    def _normal(self, x: Tensor, mean: Tensor | float, var: float) -> Tensor:
        return -0.5 * ((x - mean).square() / var + math.log(2 * math.pi * var))

    def exact_log_prob(self, x: Tensor) -> Tensor:
        return self._normal(x[:, 0], 0.0, 1 + self.noise**2)

    def log_prob(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> Tensor:
        x = x[:, 0]
        mean = 0.6 * x + self.shift
        z = mean + 0.7 * torch.randn(samples, *x.shape, dtype=x.dtype)
        log_w = self._normal(x, z, self.noise**2) + self._normal(z, 0.0, 1.0) - self._normal(z, mean, 0.49)
        return log_w.logsumexp(0) - math.log(samples) + self.generous

    def sample(self, n: int, y: Any = None, *, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        with seeded(seed, self.device):
            return torch.randn(n, 1, dtype=torch.float64)

    sample_means = sample

    def encode(self, x: Tensor, y: Any = None) -> Tensor:
        return x

    def decode(self, z: Tensor, y: Any = None) -> Tensor:
        return z


def test_a_bound_of_the_linear_gaussian_rises_to_its_exact_answer_and_one_above_it_is_found() -> None:
    spec = Spec("points", (1,), columns=(Column("x"),))
    x = torch.randn(8, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sound, generous = (AUDITS["bounds"](Subject(Line(spec, off).eval(), x, None, None, None)) for off in (0.0, 0.2))
    assert sound.ok
    assert not generous.ok
    assert "log p(x)" in sound.note


class Noise(Implicit):
    def __init__(self) -> None:
        super().__init__(POINTS)
        self.scale = nn.Parameter(torch.ones(()))

    def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Any:
        yield Turn("model", self.scale)

    def sample(self, n: int, y: Any = None, *, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        with seeded(seed, self.device):
            return self.scale * temperature * torch.randn(n, 2)


def test_an_audit_is_asked_only_of_models_that_promise_what_it_tries() -> None:
    of = Subject(Noise().eval(), items(POINTS), None, None, None)
    tried = set()
    for name, audit in AUDITS.items():
        with contextlib.suppress(UnfitError):
            assert audit(of).ok, name
            tried.add(name)
    assert tried == {"temperature 0", "seeds"}
    assert not isinstance(of.model, Completer)
