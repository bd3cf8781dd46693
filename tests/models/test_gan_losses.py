"""The objectives' constants and slopes, and the penalties against their closed forms."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lookalike.errors import UserError
from lookalike.models.implicit.losses import OBJECTIVES, ObjectiveName, objective
from lookalike.models.implicit.penalties import (
    MEASURED,
    PENALTIES,
    PLACES,
    SHARES,
    PenaltyName,
    Price,
    PullAway,
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
        ("relativistic-average", 2 * math.log(2)),
        ("energy", 1.0),
        ("boundary", 0.0),
    ],
)
def test_discriminator_loss_of_one_that_knows_nothing(name, value):
    undecided = torch.zeros(6)
    assert OBJECTIVES[name].discriminator(undecided, undecided).item() == pytest.approx(value)


VARIED = {
    **OBJECTIVES,
    "minimax, smoothed": objective("minimax", smoothing=0.1),
    "nonsaturating, smoothed": objective("nonsaturating", smoothing=0.2),
    "lsgan, -1 1 0": objective("lsgan", coding=(-1.0, 1.0, 0.0)),
    "energy, margin 2.5": objective("energy", margin=2.5),
}


@pytest.mark.parametrize("name", VARIED)
def test_equilibrium_is_the_best_a_discriminator_does_when_samples_are_like_data(name):
    objective = VARIED[name]
    energies = objective.reads == "energies"
    # Alike, data and samples get the same logits: no vector of logits is then better than the constant.
    constants = torch.linspace(-3, 0 if energies else 3, 6001, dtype=torch.float64)
    best = min(objective.discriminator(c.expand(4), c.expand(4)).item() for c in constants)
    assert best == pytest.approx(objective.equilibrium, abs=1e-6)
    for _ in range(20):
        logits = 2 * torch.randn(4, dtype=torch.float64)
        logits = -logits.abs() if energies else logits
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


@pytest.mark.parametrize("name", VARIED)
def test_the_slope_of_a_generators_loss_is_the_closed_form_and_that_of_patches_is_alike(name):
    """At D near 0 too, where it says whether the loss saturates; and a mean over patches is one over items."""
    made, logits = VARIED[name], torch.tensor([-30.0, -8.0, -1.0, 0.0, 2.0], dtype=torch.float64)
    for real in (-1.0, 0.0, 3.0):
        for logit in logits:
            fake, other = logit.clone().requires_grad_(), torch.tensor(real, dtype=torch.float64)
            (found,) = torch.autograd.grad(made.generator(fake[None], other[None]), fake)
            torch.testing.assert_close(found, made.slope(logit, other).to(found))
    real, fake = torch.randn(6, 3), torch.randn(6, 3)
    for side in (made.generator, made.discriminator):
        torch.testing.assert_close(side(fake, real), side(fake.view(6, 3, 1), real.view(6, 3, 1)))


def test_an_objective_takes_only_numbers_of_its_own():
    assert objective("lsgan") is OBJECTIVES["lsgan"]
    for name, numbers in {
        "hinge": {"margin": 2.0},
        "lsgan": {"smoothing": 0.1},
        "energy": {"coding": (0, 1, 1)},
    }.items():
        with pytest.raises(UserError, match=f"is a number of .*, and the objective is {name}"):
            objective(name, **numbers)


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


def test_a_one_sided_penalty_is_of_slopes_above_its_target_only():
    one_sided = PENALTIES["wgan-gp"]._replace(one_sided=True)
    for slope, paid in {0.3: 0.0, 1.0: 0.0, 3.0: 4.0}.items():
        found = gradient_penalty(one_sided, linear_critic((7,), slope), *pair(4, (7,)))
        assert found.item() == pytest.approx(paid, abs=1e-9)


def test_of_patches_the_mean_logit_has_the_slope():
    w = F.normalize(torch.randn(8, dtype=torch.float64), dim=0)
    for patches in (1, 4):
        critic = lambda h, P=patches: (h @ w)[:, None].expand(-1, P)  # noqa: E731
        assert gradient_penalty(PENALTIES["wgan-gp"], critic, *pair(3, (8,))).item() == pytest.approx(0, abs=1e-10)


def charged(price: Price, critic: torch.nn.Module, step: int) -> tuple[Tensor, dict[str, Tensor]]:
    torch.manual_seed(step)
    real, fake = torch.randn(5, 4), torch.randn(5, 4)
    loss = F.softplus(critic(fake) - critic(real)).mean()
    return price(lambda h: critic(h)[:, 0], real, fake, loss, step, list(critic.parameters()))


def test_a_penalty_paid_every_third_turn_is_three_times_as_high_and_halves_in_its_halflife():
    critic = torch.nn.Sequential(torch.nn.Linear(4, 9), torch.nn.SiLU(), torch.nn.Linear(9, 1))
    plain, _ = charged(Price(PENALTIES["r1"], 2.0), critic, 12)
    lazy = Price(PENALTIES["r1"], 2.0, every=3)
    assert [lazy.due(turn) for turn in range(6)] == [True, False, False] * 2
    torch.testing.assert_close(charged(lazy, critic, 12)[0], 3 * plain)
    torch.testing.assert_close(charged(Price(PENALTIES["r1"], 2.0, halflife=12), critic, 12)[0], plain / 2)
    assert not Price(PENALTIES["none"]).due(0)


@pytest.mark.parametrize("name", ["r1", "wgan-gp"])
def test_a_measured_weight_makes_the_penalty_a_share_of_the_objectives_force_and_is_saved(name):
    """|weight d penalty / d theta| = share |d loss / d theta| at the step it was measured at; then it stands still."""
    critic = torch.nn.Sequential(torch.nn.Linear(4, 9), torch.nn.SiLU(), torch.nn.Linear(9, 1))
    price = Price(PENALTIES[name], "auto")
    paid, logs = charged(price, critic, 0)
    of = list(critic.parameters())
    torch.manual_seed(0)
    real, fake = torch.randn(5, 4), torch.randn(5, 4)
    forces = [
        torch.stack([g.norm() for g in torch.autograd.grad(value, of, allow_unused=True) if g is not None]).norm()
        for value in (paid, F.softplus(critic(fake) - critic(real)).mean())
    ]
    torch.testing.assert_close(forces[0], SHARES[name == "r1"] * forces[1])
    assert logs["penalty_weight"] > 0
    weights = [charged(price, critic, step)[1]["penalty_weight"].item() for step in (1, MEASURED, 3 * MEASURED)]
    assert weights[0] == weights[1] == weights[2]
    again = Price(PENALTIES[name], "auto")
    again.load_state_dict(price.state_dict())
    assert charged(again, critic, MEASURED)[1]["penalty_weight"].item() == weights[1]


def test_pull_away_is_0_for_orthogonal_codes_and_1_for_alike_ones():
    orthogonal = torch.linalg.qr(torch.randn(6, 6)).Q * torch.rand(6, 1)
    assert PullAway(1.0)(orthogonal).item() == pytest.approx(0, abs=1e-6)
    alike = torch.randn(1, 6) * torch.tensor([[1.0], [-3.0], [0.2]])  # directions count, and not their sign
    assert PullAway(1.0)(alike).item() == pytest.approx(1, abs=1e-6)
    a = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])  # cosines squared 1/2, 1/2, 0
    assert PullAway(1.0)(a).item() == pytest.approx(1 / 3, abs=1e-6)
