"""Every bijection: there and back is the same, the log-determinant is autograd's, and what is set is saved."""

from __future__ import annotations

import pytest
import torch
from torch.func import jacrev, vmap

from lookalike.errors import UserError
from lookalike.models.tractable.flow import builders
from lookalike.models.tractable.flow.bijections import ActNorm, Bijection, Inverse, Linear
from lookalike.models.tractable.flow.completion import langevin
from lookalike.models.tractable.flow.coupling import Autoregressive
from lookalike.models.tractable.flow.dequantise import Dequantise, log_normal
from lookalike.models.tractable.flow.elementwise import BOUND, additive, affine, spline
from lookalike.models.tractable.flow.flow import Flow
from lookalike.recipe import recipes
from lookalike.spec import Column, Spec

POINTS = Spec("points", (2,), columns=(Column("x", mean=5.0, std=2.0), Column("y", mean=-1.0, std=0.25)))
WIDE = Spec("table", (5,), columns=tuple(Column(f"c{i}", std=2.0) for i in range(5)))
BY_KIND = Spec("points", (2,), classes=("a", "b", "c"), columns=POINTS.columns)
KNOTS = ((-0.5, -2.0), (0.5, 0.5), (3.5, 1.0), (8.5, 2.5))
COUNTS = Spec("table", (1,), columns=(Column("count", mean=1.0, std=2.0, grid=1.0, knots=KNOTS),))
ROWS = [name for name, recipe in recipes().items() if recipe.build.__module__ == builders.__name__]
IMAGES = [name for name in ROWS if "images" in recipes()[name].kinds]
SMALL = {"width": 16, "depth": 1}


def images(*shape: int, levels: int = 4) -> Spec:
    return Spec("images", shape, levels)


def shaken(name: str, spec: Spec, scale: float = 0.15, **options) -> Flow:
    """A float64 model whose every weight counts, its matrices still rotations."""
    torch.manual_seed(0)
    model = getattr(builders, name)(spec, **{**SMALL, **options}).double()
    for parameter in model.parameters():
        parameter.data += scale * torch.randn_like(parameter)
    return model.eval()


def jacobians(f: Bijection, x: torch.Tensor) -> torch.Tensor:
    found = [torch.autograd.functional.jacobian(lambda row: f(row[None])[0][0], row) for row in x]
    return torch.stack([j.reshape(x[0].numel(), -1) for j in found])


def assert_inverts_with_autograds_log_det(f: Bijection, x: torch.Tensor) -> None:
    z, log_det = f(x)
    torch.testing.assert_close(f.inverse(z), x, rtol=0, atol=1e-10)
    torch.testing.assert_close(torch.linalg.slogdet(jacobians(f, x)).logabsdet, log_det, rtol=0, atol=1e-8)
    assert log_det.abs().min() > 1e-4


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("spec", [POINTS, WIDE], ids=str)
def test_rows_there_and_back_with_autograds_log_det(name, spec):
    model = shaken(name, spec)
    assert_inverts_with_autograds_log_det(model.bijection, torch.randn(4, model.latent, dtype=torch.float64))


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 5, 3), (1, 2, 7)], ids=str)
def test_images_there_and_back_with_autograds_log_det(name, shape):
    model = shaken(name, images(*shape), 0.1, couplings=2)
    assert_inverts_with_autograds_log_det(model.bijection, torch.randn(2, *shape, dtype=torch.float64))


@pytest.mark.parametrize("name", ROWS)
def test_float32_comes_back_to_1e_5(name):
    f, x = shaken(name, WIDE, 0.05).float().bijection, torch.randn(64, 5)
    assert (f.inverse(f(x)[0]) - x).abs().max() < 1e-5


@pytest.mark.parametrize("name", ROWS)
def test_density_integrates_to_one_in_the_users_units(name):
    model, n = shaken(name, POINTS, 0.1), 400
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n - 0.5
    with torch.no_grad():
        mass = model.log_prob(torch.cartesian_prod(5 + 40 * u, -1 + 5 * u)).exp().sum() * (40 / n) * (5 / n)
    assert model.exact
    assert abs(mass.item() - 1) < 2e-3


@pytest.mark.parametrize("make", [additive, affine, spline, lambda: spline(3)])
def test_maps_of_a_number_rise_invert_and_know_their_slope(make):
    maps = make()
    x = torch.linspace(-BOUND - 2, BOUND + 2, 101, dtype=torch.float64)[:, None].requires_grad_()
    params = torch.randn(1, maps.width, 1, dtype=torch.float64).expand(101, -1, -1)
    z, log_slope = maps.forward(x, params)
    (slope,) = torch.autograd.grad(z.sum(), x)
    back, minus_log_slope = maps.inverse(z, params)
    torch.testing.assert_close(log_slope.exp(), slope)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(minus_log_slope, -log_slope)
    assert (z.diff(dim=0) > 0).all()
    same, nothing = maps.forward(x, torch.zeros_like(params))
    torch.testing.assert_close(same, x)
    torch.testing.assert_close(nothing, torch.zeros_like(x), atol=1e-12, rtol=0)


def test_a_linear_map_starts_as_a_rotation_and_its_state_is_saved():
    f, x = Linear(6).double(), torch.randn(3, 6, 2, 5, dtype=torch.float64)
    z, log_det = f(x)
    torch.testing.assert_close(z.norm(dim=1), x.norm(dim=1), atol=1e-5, rtol=0)
    torch.testing.assert_close(log_det, torch.zeros(3, dtype=torch.float64), atol=1e-5, rtol=0)
    torch.testing.assert_close(f.inverse(z), x)
    twin = Linear(6).double()
    twin.load_state_dict(f.state_dict())
    torch.testing.assert_close(twin(x)[0], z)


def test_each_number_of_an_autoregressive_map_sees_those_before_it_and_the_context():
    f = Autoregressive(5, affine(), backwards=True, context=2, width=32, depth=1).double()
    for parameter in f.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    x, context = torch.randn(2, 5, dtype=torch.float64), torch.randn(2, 2, dtype=torch.float64)
    jacobian = vmap(jacrev(lambda row, of: f(row[None], of[None])[0][0]))(x, context)[0]
    assert torch.equal(jacobian.tril(-1), torch.zeros_like(jacobian)), "it sees what comes after"
    assert (jacobian.triu() != 0).sum() == 15
    by_context = vmap(jacrev(lambda of, row: f(row[None], of[None])[0][0]))(context, x)
    assert (by_context != 0).all()
    torch.testing.assert_close(Inverse(f)(f(x, context)[0], context)[0], x)


@pytest.mark.parametrize("name", ["glow", "maf", "spline"])
def test_what_the_first_batch_set_is_saved(name):
    model, x = getattr(builders, name)(WIDE, **SMALL), 3 + 7 * torch.randn(200, 5, dtype=torch.float64)
    next(model.turns(x, step=0))
    norms = [m for m in model.modules() if isinstance(m, ActNorm)]
    assert norms
    assert all(bool(m.initialised) for m in norms)
    twin = getattr(builders, name)(WIDE, **SMALL)
    twin.load_state_dict(model.state_dict())
    next(twin.turns(100 * x, step=0))
    assert torch.equal(twin.log_prob(x), model.log_prob(x))


@pytest.mark.parametrize("name", ROWS)
def test_an_item_does_not_depend_on_its_batch(name):
    model, x = shaken(name, WIDE).train(), torch.randn(8, 5, dtype=torch.float64)
    torch.testing.assert_close(model.log_prob(x[:1]), model.log_prob(x)[:1])
    z = torch.randn(8, 5, dtype=torch.float64)
    torch.testing.assert_close(model.decode(z[:1]), model.decode(z)[:1])


@pytest.mark.parametrize("name", ROWS)
def test_labels_reach_the_density_and_the_samples_of_each_class(name):
    model = shaken(name, BY_KIND, 0.3, conditional=True)
    x, u = torch.tensor([[5.5, -1.1]], dtype=torch.float64).expand(3, 2), torch.full((3, 2), 0.5, dtype=torch.float64)
    y = torch.arange(3)
    by_label = model.log_prob_given(x, u, y)
    assert by_label.unique().numel() == 3
    z = torch.randn(3, 2, dtype=torch.float64)
    torch.testing.assert_close(model.encode(model.decode(z, y), y), z)
    with pytest.raises(UserError, match="give y"):
        model.sample(2)


def test_conditional_images_take_labels_at_every_scale():
    spec = Spec("images", (1, 7, 8), 4, classes=("a", "b"))
    model, x = shaken("glow", spec, couplings=2, conditional=True), torch.randint(4, (2, 1, 7, 8)) / 3
    z = model.encode(x, torch.tensor([0, 1]))
    torch.testing.assert_close(model.decode(z, torch.tensor([0, 1])), x, check_dtype=False)
    assert (z != model.encode(x, torch.tensor([1, 0]))).flatten(1).any(1).all()
    with pytest.raises(UserError, match="conditional needs labels"):
        builders.glow(images(1, 8, 8), conditional=True)


@pytest.mark.parametrize("spec", [images(1, 2, 2, levels=3), COUNTS], ids=str)
def test_learnt_noise_starts_uniform_and_its_density_is_right(spec):
    """E over q of 1/q is the volume of (0, 1)^D: one, and so for any q."""
    flat = builders.realnvp(spec, **SMALL, couplings=2, dequantisation="variational").double()
    x = torch.zeros(5, *spec.shape, dtype=torch.float64)
    torch.testing.assert_close(flat.noise(x)[1], torch.zeros(5, dtype=torch.float64), atol=1e-6, rtol=0)
    model = shaken("realnvp", spec, 0.1, couplings=2, dequantisation="variational")
    u, log_q = model.noise(torch.zeros(40_000, *spec.shape, dtype=torch.float64))
    weight = (-log_q).exp()
    assert abs(weight.mean() - 1) < 4 * weight.std() / 200
    assert log_q.std() > 0.01
    below = (u.flatten(1)[:, 0] < 0.3).double() * weight
    assert abs(below.mean() - 0.3) < 4 * below.std() / 200


@pytest.mark.parametrize("dequantisation", ["uniform", "variational"])
def test_bounds_rise_with_samples_to_log_p_by_quadrature(dequantisation):
    model = shaken("maf", COUNTS, 0.4, couplings=1, dequantisation=dequantisation)
    for parameter in model.noise.parameters():  # not so far from uniform that the weights have no variance
        torch.nn.init.normal_(parameter, 0, 0.02)
    k, n = torch.arange(9, dtype=torch.float64), 4000
    cells = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    exact = torch.stack(
        [model.log_prob_given(one.expand(n, 1), cells[:, None]).logsumexp(0) - torch.log(torch.tensor(n)) for one in k]
    )
    x = k.repeat(300)[:, None]
    bounds = {K: model.log_prob(x, samples=K).detach().view(300, 9) for K in (1, 4, 64)}
    means = {K: b.mean(0) for K, b in bounds.items()}
    errors = {K: b.std(0) / 300**0.5 for K, b in bounds.items()}
    assert (means[1] < exact + 4 * errors[1]).all()
    assert means[1].sum() < means[4].sum() < means[64].sum() < exact.sum() + 4 * errors[64].sum()
    assert (exact - means[64]).max() < 0.05
    assert exact.exp().sum() < 1 + 1e-6
    assert not model.exact


def test_the_density_of_counts_and_their_samples_agree():
    model, n = shaken("spline", COUNTS, 0.3), 20_000
    drawn = model.sample(n, seed=0)[:, 0]
    assert set(drawn.unique().tolist()) <= set(range(9))
    p = model.log_prob(torch.arange(9, dtype=torch.float64)[:, None], samples=2000).exp()
    shares = torch.stack([(drawn == k).double().mean() for k in range(9)])
    # The end cells reach to infinity, and their probability is bounded by what lies within them.
    inner = slice(1, 8)
    assert ((shares - p)[inner].abs() < 4 * (p[inner] / n).sqrt() + 2e-3).all()
    assert shares[0] > p[0] - 0.01


def test_langevin_draws_a_conditional_gaussian():
    cov = torch.tensor([[1.0, 0.8], [0.8, 1.0]], dtype=torch.float64)
    normal = torch.distributions.MultivariateNormal(torch.zeros(2, dtype=torch.float64), cov)
    start = torch.zeros(1500, 2, dtype=torch.float64)
    start[:, 0] = 1.5
    free = torch.tensor([False, True]).expand(1500, 2)
    for temperature, spread in ((1.0, 0.6), (0.5, 0.3), (0.0, 0.0)):
        v = langevin(normal.log_prob, start, free, temperature)
        assert (v[:, 0] == 1.5).all()
        assert abs(v[:, 1].mean().item() - 1.2) < 0.07
        assert abs(v[:, 1].std().item() - spread) < 0.05


@pytest.mark.slow
def test_completion_of_rows_has_the_models_conditional_mean_and_spread():
    model = shaken("realnvp", POINTS, 0.25, couplings=4)
    at, n = 5.8, 1000
    y = -1 + 5 * ((torch.arange(2000, dtype=torch.float64) + 0.5) / 2000 - 0.5)
    p = model.log_prob(torch.stack([torch.full_like(y, at), y], 1)).softmax(0)
    mean = (p * y).sum()
    std = (p * (y - mean).square()).sum().sqrt()
    x = torch.full((n, 2), at, dtype=torch.float64)
    x[:, 1] = torch.nan
    drawn = model.complete(x, torch.tensor([True, False]), seed=1)
    assert (drawn[:, 0] == at).all()
    assert abs(drawn[:, 1].mean() - mean) < 0.15 * std
    assert abs(drawn[:, 1].std() / std - 1) < 0.1
    assert torch.equal(drawn, model.complete(x, torch.tensor([True, False]), seed=1))


@pytest.mark.slow
def test_completion_keeps_the_known_pixels_and_draws_the_others_on_the_grid():
    model, x = shaken("glow", images(1, 6, 5), 0.05, couplings=2), torch.randint(4, (3, 1, 6, 5)) / 3
    mask = torch.rand(6, 5) > 0.5
    drawn = model.complete(x, mask, seed=0)
    assert torch.equal(drawn[:, :, mask], x[:, :, mask])
    torch.testing.assert_close(drawn * 3, (drawn * 3).round())
    assert not torch.equal(drawn[:, :, ~mask], x[:, :, ~mask])


def test_middle_noise_gives_the_very_row_back_and_log_weight_is_the_slope_of_the_knots():
    dequantise, x = Dequantise(COUNTS).double(), torch.arange(9, dtype=torch.float64)[:, None]
    v, log_weight = dequantise(x, torch.full_like(x, 0.5))
    torch.testing.assert_close(dequantise.inverse(v), x)
    slope = torch.autograd.functional.jacobian(lambda x: dequantise(x, torch.full_like(x, 0.5))[0].sum(0), x)
    torch.testing.assert_close(log_weight, slope.flatten().log())
    assert log_normal(torch.zeros(1)).item() == pytest.approx(-0.9189385)
