"""The objectives' constants and slopes, and the penalties against their closed forms."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lookalike.models.implicit.losses import (
    OBJECTIVES,
    PENALTIES,
    PLACES,
    ObjectiveName,
    PenaltyName,
    gradient_penalty,
)

SHAPES = [(5,), (1, 4, 4), (3, 6, 5)]


def linear_critic(shape: tuple[int, ...], slope: float):
    """D(h) = slope * w . h with |w| = 1."""
    w = F.normalize(torch.randn(math.prod(shape), dtype=torch.float64), dim=0) * slope
    return lambda h: h.flatten(1) @ w


def pair(B: int, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    return torch.randn(B, *shape, dtype=torch.float64), torch.randn(B, *shape, dtype=torch.float64)


def test_every_name_a_flag_offers_is_in_its_table_and_the_other_way_round():
    assert set(get_args(ObjectiveName)) == set(OBJECTIVES)
    assert set(get_args(PenaltyName)) == set(PENALTIES)
    assert {place for penalty in PENALTIES.values() for place in penalty.where} == set(PLACES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("minimax", 2 * math.log(2)),
        ("nonsaturating", 2 * math.log(2)),
        ("lsgan", 0.5),
        ("hinge", 2.0),
        ("wasserstein", 0.0),
        ("relativistic", math.log(2)),
    ],
)
def test_discriminator_loss_of_one_that_knows_nothing(name, value):
    undecided = torch.zeros(6)
    assert OBJECTIVES[name].discriminator(undecided, undecided).item() == pytest.approx(value)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_equilibrium_is_the_best_a_discriminator_does_when_samples_are_like_data(name):
    objective = OBJECTIVES[name]
    # Alike, data and samples get the same logits: no vector of logits is then better than the constant.
    constants = torch.linspace(-3, 3, 1201, dtype=torch.float64)
    best = min(objective.discriminator(c.expand(4), c.expand(4)).item() for c in constants)
    assert best == pytest.approx(objective.equilibrium, abs=1e-9)
    for _ in range(20):
        logits = 2 * torch.randn(4, dtype=torch.float64)
        every_pair = logits.repeat(4), logits.repeat_interleave(4)
        assert objective.discriminator(*every_pair) >= objective.equilibrium - 1e-9


@pytest.mark.parametrize("name", OBJECTIVES)
def test_generator_is_moved_towards_higher_logits_and_discriminator_parts_the_two(name):
    real, fake = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    down_real, down_fake = torch.autograd.grad(OBJECTIVES[name].discriminator(real, fake), (real, fake))
    (down_generator,) = torch.autograd.grad(OBJECTIVES[name].generator(fake, real.detach()), fake)
    assert down_generator < 0
    assert down_real < 0
    assert down_fake > 0 or name == "lsgan"  # whose target for samples is the logit 0 itself


@pytest.mark.parametrize("logit", [-12.0, -6.0, 0.0])
def test_minimax_saturates_and_nonsaturating_does_not(logit):
    """d/df of -softplus(f) is -sigmoid(f), vanishing while the generator loses; of softplus(-f), -sigmoid(-f)."""
    fake = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
    D = 1 / (1 + math.exp(-logit))
    for name, slope in {"minimax": -D, "nonsaturating": -(1 - D)}.items():
        (found,) = torch.autograd.grad(OBJECTIVES[name].generator(fake, fake.detach()), fake)
        assert found.item() == pytest.approx(slope, rel=1e-9)


@pytest.mark.parametrize("name", [n for n, p in PENALTIES.items() if p.target == 1])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("B", [1, 2, 7])
def test_a_linear_critic_pays_its_slopes_distance_from_one(name, shape, B):
    for slope in (1.0, 0.0, 3.0):
        paid = gradient_penalty(PENALTIES[name], linear_critic(shape, slope), *pair(B, shape))
        assert paid.item() == pytest.approx((slope - 1) ** 2, abs=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_r1_and_r2_of_a_quadratic_critic_equal_their_closed_form(shape):
    """D(h) = a/2 |h|^2 has the slope a |h|, so R1 is a^2 / 2 times the mean of |x|^2."""
    a, (real, fake) = 1.7, pair(6, shape)
    critic = lambda h: a / 2 * h.flatten(1).square().sum(1)  # noqa: E731
    at_real = a**2 / 2 * real.flatten(1).square().sum(1).mean()
    at_fake = a**2 / 2 * fake.flatten(1).square().sum(1).mean()
    for name, value in {"r1": at_real, "r2": at_fake, "r1+r2": at_real + at_fake}.items():
        torch.testing.assert_close(gradient_penalty(PENALTIES[name], critic, real, fake), value)


@pytest.mark.parametrize("name", [n for n, p in PENALTIES.items() if p.where])
def test_a_penalty_is_a_mean_over_items(name):
    """Items count alike and alone: doubling or reordering the batch changes nothing, and B items are their mean."""
    real, _ = pair(5, (3, 4, 4))
    penalty = PENALTIES[name]._replace(where=tuple("real" if p == "around" else p for p in PENALTIES[name].where))
    critic = lambda h: h.flatten(1).pow(3).sum(1)  # noqa: E731

    def paid(x: Tensor) -> Tensor:
        return gradient_penalty(penalty, critic, x, x)  # between x and x is x

    alone = torch.stack([paid(x[None]) for x in real]).mean()
    torch.testing.assert_close(paid(real), alone)
    torch.testing.assert_close(paid(torch.cat([real, real])), alone)
    torch.testing.assert_close(paid(real[torch.randperm(5)]), alone)


def test_each_item_has_its_own_place_between_and_one_for_all_its_pixels():
    real, fake = torch.zeros(50, 3, 4, 4), torch.ones(50, 3, 4, 4)
    u = PLACES["between"](real, fake).flatten(1)
    assert (u == u[:, :1]).all()
    assert len(set(u[:, 0].tolist())) > 45
    assert u.min() < 0.2
    assert u.max() > 0.8


def test_a_penalty_is_float32_inside_autocast():
    net = torch.nn.Linear(8, 1)
    seen = []
    net.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        net(torch.randn(2, 8))
        gradient_penalty(PENALTIES["r1"], lambda h: net(h)[:, 0], torch.randn(2, 8).bfloat16(), torch.randn(2, 8))
    assert seen == [torch.bfloat16, torch.float32]


def test_the_slope_of_a_flat_critic_has_a_finite_gradient():
    """|grad| has no derivative at 0, which a fresh critic may well meet."""
    for penalty in (PENALTIES["r1"], PENALTIES["wgan-gp"]):
        w = torch.zeros(4, requires_grad=True)
        gradient_penalty(penalty, lambda h, w=w: h @ w, torch.randn(3, 4), torch.randn(3, 4)).backward()
        assert w.grad.isfinite().all()
