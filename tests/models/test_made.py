"""MADE: each field from those before it, a density of total mass one in the user's units, and its samples."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from lookalike.errors import UserError
from lookalike.models.tractable.autoregressive import made
from lookalike.models.tractable.autoregressive.made import MADE, Recomputed
from lookalike.nn.masked import MaskedSteps
from lookalike.spec import Column, Spec

MIXED = Spec(
    "table",
    (3,),
    columns=(Column("age", mean=40.0, std=12.0, missing=True), Column("city", ("a", "b", "c")), Column("pay", std=3.0)),
)
POINTS = Spec("points", (2,), columns=(Column("x", mean=5.0, std=2.0), Column("y", mean=-1.0, std=0.25)))


def shaken(spec: Spec, scale: float = 0.3, **options) -> MADE:
    """A float64 model whose every weight counts."""
    model = MADE(spec, **options).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, scale)
    return model.eval()


def line(low: float, high: float, n: int) -> tuple[torch.Tensor, float]:
    """Midpoints and spacing of n cells."""
    step = (high - low) / n
    return low + step * (torch.arange(n, dtype=torch.float64) + 0.5), step


@pytest.mark.parametrize(("shape", "levels"), [((1, 3, 3), 2), ((3, 2, 2), 2), ((2, 1, 2), 4)])
def test_probabilities_of_all_images_sum_to_one(shape, levels):
    spec = Spec("images", shape, levels)
    values = [k / (levels - 1) for k in range(levels)]
    x = torch.tensor(list(itertools.product(values, repeat=spec.dims)), dtype=torch.float64).view(-1, *shape)
    assert abs(shaken(spec, width=24).log_prob(x).exp().sum().item() - 1) < 1e-9


@pytest.mark.parametrize("width", [4, 32])
def test_every_pixel_sees_the_whole_past_and_only_the_past(width):
    spec = Spec("images", (2, 3, 4), 3)
    model, h = shaken(spec, width=width), torch.rand(1, 2, 3, 4, dtype=torch.float64)
    mix = torch.randn(3, 1, dtype=torch.float64)

    def scores(h: torch.Tensor) -> torch.Tensor:
        return (model.likelihood.logits(model.params(h))[0].flatten(1) * mix).sum(0)

    jacobian = torch.autograd.functional.jacobian(scores, h).flatten(1)
    past = torch.ones_like(jacobian).tril(-1).bool()
    assert (jacobian[~past] == 0).all()
    assert (jacobian[past] != 0).all()


def test_every_field_of_a_table_sees_the_fields_before_it():
    model = shaken(MIXED, width=16, components=2)
    h = torch.randn(1, *model.door.shape, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda h: model.params(h)[0], h)[:, 0]  # (params, entries)
    for (field, rows), (other, _) in itertools.product(
        zip(model.door.fields, jacobian.split(model.likelihood.widths), strict=True),
        zip(model.door.fields, model.likelihood.widths, strict=True),
    ):
        seen = rows[:, other.entries] != 0
        assert seen.all() if other.start < field.start else not seen.any()


def test_density_of_points_integrates_to_one_in_the_users_units():
    model = shaken(POINTS, width=16, components=3)
    (x, dx), (y, dy) = line(-35, 45, 300), line(-6, 4, 300)
    mass = model.log_prob(torch.cartesian_prod(x, y)).exp().sum() * dx * dy
    assert abs(mass.item() - 1) < 1e-3


def test_a_mixed_table_has_total_probability_one():
    """Summed over categories and gaps, integrated over the numbers that are there."""
    model = shaken(MIXED, width=16, components=2)
    (age, d_age), (pay, d_pay) = line(-200, 280, 240), line(-60, 60, 240)
    city = torch.arange(3, dtype=torch.float64)
    there = model.log_prob(torch.cartesian_prod(age, city, pay)).exp().sum() * d_age * d_pay
    gap = torch.cartesian_prod(torch.tensor([torch.nan], dtype=torch.float64), city, pay)
    missing = model.log_prob(gap).exp().sum() * d_pay
    assert missing > 0.05
    assert abs((there + missing).item() - 1) < 1e-3


def test_samples_of_a_table_have_the_probabilities_the_model_gives():
    model, n = shaken(MIXED, width=16, components=2), 20_000
    drawn = model.sample(n, seed=0)
    gap = drawn[:, 0].isnan()
    pay, d_pay = line(-60, 60, 2000)
    for city in range(3):
        rows = torch.cartesian_prod(torch.tensor([torch.nan, city], dtype=torch.float64)[:1], city + 0 * pay[:1], pay)
        p = (model.log_prob(rows).exp().sum() * d_pay).item()
        share = (gap & (drawn[:, 1] == city)).double().mean().item()
        assert abs(share - p) < 4 * (p * (1 - p) / n) ** 0.5
    # The number after the gap depends on it: compare its mean given a gap with the density's.
    rows = torch.stack([torch.full_like(pay, torch.nan), torch.zeros_like(pay), pay], 1)
    weight = model.log_prob(rows).exp()
    mean = (weight * pay).sum() / weight.sum()
    chosen = drawn[gap & (drawn[:, 1] == 0), 2]
    assert (chosen.mean() - mean).abs() < 4 * chosen.std() / len(chosen) ** 0.5


def test_samples_of_images_have_the_probabilities_the_model_gives():
    spec, n = Spec("images", (1, 2, 3), 2), 20_000
    model = shaken(spec, scale=0.5, width=16)
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=6)), dtype=torch.float64).view(-1, 1, 2, 3)
    expected = n * model.log_prob(x).exp()
    index = (model.sample(n, seed=0).flatten(1) * 2 ** torch.arange(5, -1, -1)).sum(1).long()
    counts = torch.bincount(index, minlength=64)
    assert ((counts - expected).abs() < 5 * expected.sqrt() + 3).all()
    common = expected > 5
    chi_square = ((counts - expected) ** 2 / expected)[common].sum()
    assert chi_square < common.sum() + 4 * (2 * common.sum()) ** 0.5


def test_seed_and_temperature():
    model = shaken(MIXED, width=16, components=3)
    first = model.sample(5, seed=3)
    assert torch.equal(first.nan_to_num(-1e9), model.sample(5, seed=3).nan_to_num(-1e9))
    still = model.sample(5, seed=3, temperature=0).nan_to_num(-1e9)
    assert torch.equal(still, model.sample(5, seed=4, temperature=0).nan_to_num(-1e9))
    torch.testing.assert_close(still, still[:1].expand(5, 3))


def test_what_is_saved_is_what_was_scored():
    model, twin = shaken(MIXED, width=16), shaken(MIXED, width=16)
    x = model.sample(6, seed=0)
    assert not torch.allclose(model.log_prob(x), twin.log_prob(x))
    twin.load_state_dict(model.state_dict())
    assert torch.equal(model.log_prob(x), twin.log_prob(x))


def test_it_learns_modes_and_what_depends_on_what():
    """Three narrow modes in the first number, the second its sign: near the true log density in 150 steps."""

    def draw(n: int) -> torch.Tensor:
        mode = torch.randint(-1, 2, (n,))
        return torch.stack([mode + 0.05 * torch.randn(n), mode.sign() * 2 + 0.1 * torch.randn(n)], 1).double()

    model = MADE(Spec("points", (2,), columns=(Column("a", std=0.8), Column("b", std=1.6))), width=64, components=6)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(150):
        for turn in model.turns(draw(128), step=step):
            optimiser.zero_grad()
            turn.loss.backward()
            optimiser.step()
    entropy = math.log(3 * 0.05 * 0.1 * 2 * math.pi * math.e)
    # Independent columns would miss by log 3, one mode for three by more.
    assert model.log_prob(draw(2000)).mean() > -entropy - 0.5


def test_many_levels_and_wrong_networks_are_refused():
    with pytest.raises(UserError, match="pixelcnn"):
        MADE(Spec("images", (1, 28, 28), 256))
    with pytest.raises(UserError, match="network"):
        MADE(POINTS, network=torch.nn.Linear(2, 3))


LABELLED = Spec("images", (2, 2, 2), 3, ("a", "b"))


@pytest.mark.parametrize("spec", [Spec("images", (1, 3, 3), 2), Spec("images", (2, 1, 2), 4)], ids=str)
def test_a_mixture_of_orderings_is_a_distribution_and_no_ordering_sees_ahead(spec):
    model = shaken(spec, width=24, orderings=4)
    values = [k / (spec.levels - 1) for k in range(spec.levels)]
    x = torch.tensor(list(itertools.product(values, repeat=spec.dims)), dtype=torch.float64).view(-1, *spec.shape)
    assert abs(model.log_prob(x).exp().sum().item() - 1) < 1e-9
    each = torch.stack([model.log_prob_in(x, None, k).exp() for k in range(4)])
    torch.testing.assert_close(each.sum(1), torch.ones(4, dtype=torch.float64))
    assert (each.std(0) > 0).all()
    assert model.orders[0] == list(range(spec.dims))
    assert len({tuple(order) for order in model.orders}) > 2
    for k, order in enumerate(model.orders):
        jacobian = torch.autograd.functional.jacobian(lambda h, k=k: model.params(h, None, k).flatten(), x[:1] + 0.3)
        seen = jacobian.view(-1, spec.dims, spec.dims).abs().sum(0)[order][:, order]
        past = torch.ones_like(seen).tril(-1).bool()
        assert (seen[~past] == 0).all()
        assert (seen[past] != 0).all()


def test_each_ordering_of_a_table_draws_a_gap_before_its_number():
    model = shaken(MIXED, 0.15, width=16, components=2, orderings=6)
    for order in model.orders:
        for field in model.fields:
            if field.gate >= 0:
                gate = next(i for i, f in enumerate(model.fields) if f.start == field.gate)
                assert order.index(gate) + 1 == order.index(model.fields.index(field))
    (age, d_age), (pay, d_pay) = line(-200, 280, 240), line(-60, 60, 240)
    city = torch.arange(3, dtype=torch.float64)
    there = model.log_prob(torch.cartesian_prod(age, city, pay)).exp().sum() * d_age * d_pay
    gap = torch.cartesian_prod(torch.tensor([torch.nan], dtype=torch.float64), city, pay)
    assert abs((there + model.log_prob(gap).exp().sum() * d_pay).item() - 1) < 1e-3


def test_probabilities_sum_to_one_for_each_class_and_differ_between_them():
    model = shaken(LABELLED, width=24, conditional=True)
    x = torch.tensor(list(itertools.product([0, 0.5, 1], repeat=8)), dtype=torch.float64).view(-1, 2, 2, 2)
    a, b = (model.log_prob(x, torch.full((len(x),), y)).exp() for y in (0, 1))
    torch.testing.assert_close(torch.stack([a.sum(), b.sum()]), torch.ones(2, dtype=torch.float64))
    assert (a - b).abs().max() > 1e-5
    with pytest.raises(UserError, match="y, from 0 to 1"):
        model.sample(2)


@pytest.mark.parametrize("depth", [0, 2])
@pytest.mark.parametrize("spec", [POINTS, MIXED, LABELLED, Spec("images", (1, 4, 5), 2)], ids=str)
@pytest.mark.parametrize("orderings", [1, 3])
def test_steps_compute_each_unit_once_and_draw_what_whole_passes_draw(spec, orderings, depth, monkeypatch):
    conditional = bool(spec.classes)
    model = shaken(spec, width=11, depth=depth, orderings=orderings, conditional=conditional, components=3)
    y = torch.tensor([0, 1, 1, 0, 1]) if conditional else None
    h = torch.randn(5, *model.door.shape, dtype=torch.float64)
    for k in range(orderings):
        expected = model.params(h, y, k).flatten(1)
        steps = MaskedSteps(model.network, 5, k)
        steps.tell(0, model.one_hot(y, h))
        for degree, d in enumerate(model.orders[k], start=1):
            torch.testing.assert_close(steps.outputs(degree), expected[:, model.outputs_of == d])
            steps.tell(degree, h.flatten(1)[:, model.fields[d].entries])
    drawn = model.sample(5, y, seed=4)
    monkeypatch.setattr(
        made, "MaskedSteps", lambda _, n, k: Recomputed(model, h.new_zeros(n, h[0].numel()), y_of(k), k)
    )

    def y_of(k: int) -> torch.Tensor | None:
        if y is None:
            return None
        with torch.random.fork_rng():
            torch.manual_seed(4)
            return y[torch.randint(orderings, (5,)) == k]

    torch.testing.assert_close(drawn, model.sample(5, y, seed=4), equal_nan=True)


def test_at_temperature_0_orderings_leave_nothing_to_chance():
    model = shaken(LABELLED, width=24, conditional=True, orderings=5)
    y = torch.tensor([0, 1, 1])
    assert torch.equal(model.sample(3, y, seed=0, temperature=0), model.sample(3, y, seed=9, temperature=0))


def test_what_is_known_of_a_row_stays_and_the_rest_follows_it():
    model = shaken(MIXED, width=16, components=2)
    x = model.sample(4000, seed=0)
    x[:, 0], x[:, 1] = 30.0, 2.0
    mask = torch.tensor([True, True, False])
    x[:, 2] = torch.nan  # not looked at
    done = model.complete(x, mask, seed=1)
    assert torch.equal(done[:, :2], x[:, :2])
    pay, _ = line(-60, 60, 2000)
    weight = model.log_prob(torch.stack([torch.full_like(pay, 30.0), torch.full_like(pay, 2.0), pay], 1)).exp()
    mean = (weight * pay).sum() / weight.sum()
    assert (done[:, 2].mean() - mean).abs() < 4 * done[:, 2].std() / 4000**0.5
    gap = model.complete(torch.full_like(x[:5], torch.nan), torch.tensor([True, False, False]), seed=1)
    assert gap[:, 0].isnan().all()
    assert not gap[:, 1:].isnan().any()


def test_digits_of_seventeen_levels_are_taken():
    spec = Spec("images", (1, 8, 8), 17)
    x = MADE(spec, width=32).sample(2, seed=0)
    torch.testing.assert_close(x * 16, (x * 16).round())
