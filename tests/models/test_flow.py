"""Flows: invertible, with the Jacobian's determinant, of total mass one in the user's units, bounds honest."""

from __future__ import annotations

import math

import pytest
import torch

from lookalike.errors import UserError
from lookalike.models.tractable.flow import flow as flow_module
from lookalike.models.tractable.flow.bijections import ActNorm
from lookalike.models.tractable.flow.builders import realnvp
from lookalike.models.tractable.flow.flow import Flow
from lookalike.spec import Column, Spec

POINTS = Spec("points", (2,), columns=(Column("x", mean=5.0, std=2.0), Column("y", mean=-1.0, std=0.25)))
GAPPY = Spec("table", (1,), columns=(Column("age", mean=40.0, std=12.0, missing=True),))
CITIES = Spec("table", (2,), columns=(Column("pay", std=3.0), Column("city", ("a", "b", "c"))))
MIXED = Spec("table", (3,), columns=(*GAPPY.columns, *CITIES.columns))
WIDE = Spec("table", (5,), columns=tuple(Column(f"c{i}", std=2.0) for i in range(5)))


def images(*shape: int, levels: int = 4) -> Spec:
    return Spec("images", shape, levels)


def shaken(spec: Spec, scale: float = 0.15, **options) -> Flow:
    """A float64 model whose every weight counts."""
    model = realnvp(spec, **{"couplings": 4, "width": 8, "depth": 1, **options}).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, scale)
    return model.eval()


def middles(n: int) -> torch.Tensor:
    """Of n cells of (0, 1)."""
    return (torch.arange(n, dtype=torch.float64) + 0.5) / n


@pytest.mark.parametrize(
    "spec", [POINTS, WIDE, MIXED, images(1, 4, 4), images(3, 5, 7), images(2, 4, 5), images(1, 8, 3)], ids=str
)
def test_flow_inverts_and_its_log_det_is_the_jacobians(spec):
    model = shaken(spec, 0.1)
    f, v = model.bijection, torch.randn(3, *model.dequantise.shape, dtype=torch.float64)
    z, log_det = f(v)
    torch.testing.assert_close(f.inverse(z), v)
    for row, expected in zip(v, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda row: f(row[None])[0][0], row).view(model.latent, -1)
        torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, expected)
    assert log_det.abs().min() > 1e-3


def test_density_of_points_integrates_to_one_in_the_users_units():
    model = shaken(POINTS, scale=0.3)
    x, y = 5 + 60 * (middles(300) - 0.5), -1 + 8 * (middles(300) - 0.5)
    assert model.exact
    mass = model.log_prob(torch.cartesian_prod(x, y)).exp().sum() * (60 / 300) * (8 / 300)
    assert abs(mass.item() - 1) < 1e-3


def test_a_number_that_may_be_missing_is_there_or_not_with_total_probability_one():
    """p(x) is the mean over the noise of exp(log_prob_given); here by quadrature in the gate and in e."""
    model, u = shaken(GAPPY), middles(400)
    x, gate = 40 + 240 * (u - 0.5), middles(200)
    half = torch.full((len(x) * len(gate), 1), 0.5, dtype=torch.float64)
    x_gate = torch.cartesian_prod(x, gate)
    there = model.log_prob_given(x_gate[:, :1], torch.cat([x_gate[:, 1:], half], 1)).exp().mean() * 240
    noise = torch.cartesian_prod(gate, u)
    gap = model.log_prob_given(torch.full_like(noise[:, :1], torch.nan), noise).exp().mean()
    assert not model.exact
    assert 0.1 < gap < 0.9
    assert abs((there + gap).item() - 1) < 5e-3


def test_a_table_with_categories_has_total_probability_one():
    model, u = shaken(CITIES), middles(300)
    grid = torch.cartesian_prod(60 * (u - 0.5), torch.arange(3, dtype=torch.float64), middles(100))
    noise = torch.stack([torch.full_like(grid[:, 2], 0.5), grid[:, 2]], 1)
    mass = model.log_prob_given(grid[:, :2], noise).exp().mean() * 3 * 60
    assert abs(mass.item() - 1) < 5e-3


def test_log_prob_of_a_category_is_a_bound_and_unbiased_in_probability():
    """E[exp log_prob] = p(x) and E[log_prob] <= log p(x), p(x) by quadrature over the bin."""
    model = shaken(CITIES, scale=0.3)
    for city in range(3):
        row = torch.tensor([[1.5, city]], dtype=torch.float64)
        u = torch.stack([torch.full((2000,), 0.5, dtype=torch.float64), middles(2000)], 1)
        p = model.log_prob_given(row.expand(2000, 2), u).exp().mean()
        drawn = model.log_prob(row.expand(4000, 2))
        assert (drawn.exp().mean() - p).abs() < 4 * drawn.exp().std() / 4000**0.5
        assert drawn.mean() < p.log() - 4 * drawn.std() / 4000**0.5


def test_probabilities_of_all_images_are_the_mass_on_their_bins():
    """The logit of the images is a box in v: their total probability is the chance that a sample of v is in it."""
    spec, n = images(1, 2, 2, levels=2), 40_000
    model = shaken(spec, couplings=2)
    k = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 4).view(16, 1, 2, 2)
    drawn = 16 * model.log_prob(k.repeat(n // 16, 1, 1, 1)).exp()
    v = model.bijection.inverse(torch.randn(n, 4, dtype=torch.float64))
    inside = (v.abs() < math.log(19)).flatten(1).all(1).double()
    error = (drawn.std() ** 2 + inside.std() ** 2) ** 0.5 / n**0.5
    assert (drawn.mean() - inside.mean()).abs() < 4 * error
    assert error < 0.01


@pytest.mark.parametrize(
    "spec", [images(1, 8, 8), images(3, 9, 11, levels=256), images(2, 12, 8), images(1, 28, 27)], ids=str
)
def test_images_of_any_size_come_back_exactly(spec):
    model = shaken(spec, scale=0.02).float()
    x = torch.randint(spec.levels, (2, *spec.shape)) / (spec.levels - 1)
    z = model.encode(x)
    assert z.shape == (2, model.latent) == (2, spec.dims)
    torch.testing.assert_close(model.decode(z), x)
    assert model.log_prob(x).max() < 0


def test_rows_with_gaps_and_categories_come_back_exactly():
    x = torch.tensor([[torch.nan, 2.5, 0], [55.0, -4.0, 2], [12.25, 0.5, 1]], dtype=torch.float64)
    torch.testing.assert_close(shaken(MIXED).reconstruct(x), x, equal_nan=True)


def test_samples_have_the_density_the_model_gives():
    model, n = shaken(CITIES, scale=0.3), 40_000
    drawn, u = model.sample(n, seed=0), middles(300)
    grid = torch.cartesian_prod(60 * (u - 0.5), middles(100))
    for city in range(3):
        rows = torch.stack([grid[:, 0], torch.full_like(grid[:, 0], city)], 1)
        noise = torch.stack([torch.full_like(grid[:, 1], 0.5), grid[:, 1]], 1)
        density = model.log_prob_given(rows, noise).exp()
        for chosen, by_hand in ((grid[:, 0] > 0, drawn[:, 0] > 0), (grid[:, 0] <= 0, drawn[:, 0] <= 0)):
            p = (density * chosen).mean().item() * 60
            share = (by_hand & (drawn[:, 1] == city)).double().mean().item()
            assert abs(share - p) < 4 * (p / n) ** 0.5 + 1e-3


def test_first_turn_standardises_and_what_it_set_is_saved():
    model, x = realnvp(WIDE, couplings=2, width=8), 3 + 7 * torch.randn(500, 5, dtype=torch.float64)
    next(model.turns(x, step=0))
    first = next(module for module in model.modules() if isinstance(module, ActNorm))
    z, _ = first(model.door.enter(x))
    torch.testing.assert_close(z.mean(0), torch.zeros(5), atol=1e-4, rtol=0)
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(5), atol=1e-3, rtol=0)

    twin = realnvp(WIDE, couplings=2, width=8)
    twin.load_state_dict(model.state_dict())
    next(twin.turns(100 * x, step=0))  # set once, so not by this
    assert torch.equal(twin.log_prob(x), model.log_prob(x))


def test_an_item_does_not_depend_on_its_batch():
    model, x = shaken(WIDE), torch.randn(8, 5, dtype=torch.float64)
    model.train()
    torch.testing.assert_close(model.log_prob(x[:1]), model.log_prob(x)[:1])


def test_seed_and_temperature():
    model = shaken(images(1, 8, 8))
    first = model.sample(3, seed=1)
    assert torch.equal(first, model.sample(3, seed=1))
    assert not torch.equal(first, model.sample(3, seed=2))
    assert torch.equal(model.sample(3, seed=1, temperature=0), model.decode(torch.zeros(3, 64, dtype=torch.float64)))


def test_it_learns_a_ring_better_than_any_gaussian():
    def draw(n: int) -> torch.Tensor:
        angle = 2 * math.pi * torch.rand(n, dtype=torch.float64)
        return torch.stack([angle.cos(), angle.sin()], 1) + 0.1 * torch.randn(n, 2, dtype=torch.float64)

    columns = (Column("x", std=0.714), Column("y", std=0.714))
    model = realnvp(Spec("points", (2,), columns=columns), couplings=4, width=32, depth=1)
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for step in range(120):
        for turn in model.turns(draw(128), step=step):
            optimiser.zero_grad()
            turn.loss.backward()
            optimiser.step()
    best_gaussian = -math.log(2 * math.pi * math.e * 0.51)
    assert model.log_prob(draw(2000)).mean() > best_gaussian + 0.5


def test_a_network_of_the_wrong_shape_is_refused():
    with pytest.raises(UserError, match="network of a coupling"):
        realnvp(POINTS, conditioner=lambda inputs, outputs: torch.nn.Linear(inputs, 3))


def test_a_column_that_is_constant_in_the_first_batch_does_not_explode_in_the_next():
    """Rare values are usual in tables: scaling what did not vary by the inverse of nothing gave an infinite loss."""
    spec = Spec("table", (3,), columns=tuple(Column(f"x{i}") for i in range(3)))
    model = realnvp(spec).train()
    x = torch.randn(64, 3, dtype=torch.float64)
    x[:, 1] = 0.0
    next(model.turns(x, step=0))
    x[0, 1] = 30.0
    assert next(model.turns(x, step=1)).loss < 100


def test_a_flow_that_has_learnt_nothing_gives_each_category_its_share():
    shares = (0.9989, 0.001, 0.0001)
    spec = Spec("table", (2,), columns=(Column("rare", ("a", "b", "c"), shares=shares), Column("even", ("x", "y"))))
    model = realnvp(spec, couplings=2, width=8)
    rows = torch.cartesian_prod(torch.arange(3.0), torch.arange(2.0)).double()
    expected = (torch.tensor(shares).log()[:, None] - math.log(2)).repeat(1, 2).flatten()
    torch.testing.assert_close(model.log_prob(rows), expected, atol=2e-3, rtol=0)  # for any noise
    rare = model.sample(100_000, seed=0)[:, 0].long().bincount(minlength=3) / 100_000
    torch.testing.assert_close(rare, torch.tensor(shares), atol=5e-4, rtol=0)


def test_images_of_another_precision_than_the_weights_have_the_same_density():
    model, x = shaken(images(1, 4, 4)).float(), torch.rand(2, 1, 4, 4).round().double()
    torch.manual_seed(0)
    log_prob = model.log_prob(x)
    torch.manual_seed(0)
    torch.testing.assert_close(log_prob, model.log_prob(x.float()))


def test_passes_do_not_change_the_weights_of_draws(monkeypatch):
    model, x = shaken(images(1, 4, 4)), torch.rand(3, 1, 4, 4, dtype=torch.float64).mul(3).round() / 3
    torch.manual_seed(1)
    whole = model.log_weights(x, samples=7)
    monkeypatch.setattr(flow_module, "numbers_at_once", lambda device: 2 * x.numel())
    torch.manual_seed(1)
    torch.testing.assert_close(model.log_weights(x, samples=7), whole)
