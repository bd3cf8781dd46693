"""The VAE's bounds against answers known exactly, its draws, and what it is told of networks."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, Normal

from lookalike.errors import UserError
from lookalike.models.approximate.vae import bound
from lookalike.models.approximate.vae.bound import kl_standard_normal
from lookalike.models.approximate.vae.builders import mlp_vae, vae
from lookalike.models.approximate.vae.linear import closed_form, linear_vae
from lookalike.models.approximate.vae.vae import VAE
from lookalike.recipe import find
from lookalike.spec import Column, Spec

BINARY = Spec("images", (1, 8, 8), levels=2)
GREY = Spec("images", (1, 9, 8), levels=16)
ROWS = Spec(
    "table", (3,), columns=(Column("a", mean=3, std=2, missing=True), Column("b", ("x", "y", "z")), Column("c"))
)
ROWS_X = torch.tensor([[1.0, 2, 0.5], [math.nan, 0, -1], [4, 1, 2]], dtype=torch.float64)

D, LATENT, SIGMA = 5, 2, 0.4


class LinearDecoder(nn.Module):
    """z -> params of one Gaussian a column: logits 0, mean W z + b, log scale fixed."""

    def __init__(self, W: Tensor, b: Tensor) -> None:
        super().__init__()
        self.W, self.b = nn.Parameter(W), nn.Parameter(b)

    def forward(self, z: Tensor) -> Tensor:
        mean = z @ self.W.T + self.b
        return torch.stack([torch.zeros_like(mean), mean, torch.full_like(mean, math.log(SIGMA))], 2).flatten(1)


class LinearEncoder(nn.Module):
    """h -> mean M (h - b), log_var constant."""

    def __init__(self, M: Tensor, b: Tensor, log_var: Tensor) -> None:
        super().__init__()
        self.M, self.b, self.log_var = nn.Parameter(M), nn.Parameter(b), nn.Parameter(log_var)

    def forward(self, h: Tensor) -> Tensor:
        mean = (h - self.b) @ self.M.T
        return torch.cat([mean, self.log_var.expand_as(mean)], 1)


def linear_gaussian(off: float = 0.0, **options: Any) -> tuple[VAE, MultivariateNormal, Tensor]:
    """Probabilistic PCA as a VAE, its exact p(x) in the user's units, and data; `off` spoils the posterior.

    Its axes are orthogonal, so the exact posterior N(M (h - b), sigma^2 (W'W + sigma^2 I)^-1) is diagonal.
    """
    mean, std = torch.linspace(-2, 2, D).double(), torch.linspace(0.5, 3, D).double()
    spec = Spec("points", (D,), columns=tuple(Column(str(i), mean=float(mean[i]), std=float(std[i])) for i in range(D)))
    W = torch.linalg.qr(torch.randn(D, LATENT, dtype=torch.float64)).Q * torch.tensor([2.0, 0.7])
    b = 0.1 * torch.randn(D, dtype=torch.float64)
    precision = W.T @ W + SIGMA**2 * torch.eye(LATENT, dtype=torch.float64)
    variance = SIGMA**2 / precision.diagonal()
    encoder = LinearEncoder(torch.linalg.inv(precision) @ W.T + 0.2 * off, b, variance.log() + off)
    model = vae(spec, latent=LATENT, encoder=encoder, decoder=LinearDecoder(W, b), **options).double()
    cov_h = W @ W.T + SIGMA**2 * torch.eye(D, dtype=torch.float64)
    exact = MultivariateNormal(mean + std * b, std[:, None] * cov_h * std)
    return model, exact, exact.sample((200,))


def test_kl_closed_form_matches_monte_carlo():
    mean, log_var = torch.randn(5), torch.randn(5)
    q = Normal(mean, (0.5 * log_var).exp())
    z = q.sample((100_000,))
    draws = (q.log_prob(z) - Normal(0, 1).log_prob(z)).sum(-1)
    standard_error = draws.std() / len(draws) ** 0.5
    assert (draws.mean() - kl_standard_normal(mean, log_var).sum()).abs() < 4 * standard_error


@torch.no_grad()
def test_bounds_meet_the_exact_log_prob_at_the_exact_posterior():
    """At the pPCA solution every importance weight is p(x), so one sample is already exact."""
    model, exact, x = linear_gaussian()
    weights = model.log_weights(x, samples=7)
    torch.testing.assert_close(weights, exact.log_prob(x).expand(7, -1))
    torch.testing.assert_close(model.log_prob(x, samples=7), exact.log_prob(x))
    elbo = torch.stack([model.log_prob(x) for _ in range(1000)])
    assert ((elbo.mean(0) - exact.log_prob(x)).abs() < 5 * elbo.std(0) / 1000**0.5).all()


@torch.no_grad()
def test_bounds_rise_with_samples_to_the_exact_log_prob():
    model, exact, x = linear_gaussian(off=0.3)
    truth = exact.log_prob(x).mean()
    bounds = [torch.stack([model.log_prob(x, samples=k).mean() for _ in range(20)]).mean() for k in (1, 2, 8, 64)]
    assert all(a < b for a, b in zip(bounds, [*bounds[1:], truth], strict=True))
    assert truth - model.log_prob(x, samples=5000).mean() < 0.02 < truth - bounds[0]


@torch.no_grad()
def test_the_closed_form_of_a_linear_vae_is_what_many_draws_come_to():
    numbers = tuple(Column(n, mean=i - 1.0, std=0.5 + i) for i, n in enumerate("abc"))
    model = linear_vae(Spec("points", (3,), columns=numbers)).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    exact = closed_form(model)
    x = model.sample(6, seed=0)
    assert exact is not None
    torch.nn.init.constant_(model.encoder.log_var, 0.5)  # a posterior wider than the exact one: weights without tails
    ratio = (model.log_weights(x, samples=20_000) - exact(x)).exp()
    assert ((ratio.mean(0) - 1).abs() < 5 * ratio.std(0) / 20_000**0.5).all()
    assert closed_form(vae(Spec("points", (3,), columns=numbers))) is None
    gappy = (*numbers, Column("d", missing=True))
    assert closed_form(linear_vae(Spec("table", (4,), columns=gappy))) is None


@torch.no_grad()
def test_items_far_from_all_data_have_a_finite_bound_and_a_low_one():
    spec = Spec("points", (2,), columns=(Column("a"), Column("b")))
    model, far = vae(spec), torch.tensor([[1e5, -3e5], [0.0, 0.0]], dtype=torch.float64)
    for samples in (1, 8):
        log_prob = model.log_prob(far, samples=samples)
        assert log_prob.isfinite().all()
        assert log_prob[0] < log_prob[1] - 1000


@torch.no_grad()
def test_one_importance_weight_is_the_elbo_on_average():
    model, _, x = linear_gaussian(off=0.2)
    weights = model.log_weights(x[:5], samples=20_000)
    elbo = torch.stack([model.log_prob(x[:5]) for _ in range(2000)])
    standard_error = (weights.var(0) / 20_000 + elbo.var(0) / 2000).sqrt()
    assert ((weights.mean(0) - elbo.mean(0)).abs() < 5 * standard_error).all()


@torch.no_grad()
def test_chunks_do_not_change_the_weights(monkeypatch):
    model, x = vae(GREY, latent=3, width=4), torch.randint(16, (5, 1, 9, 8)) / 15
    torch.manual_seed(1)
    whole = model.log_weights(x, samples=11)
    monkeypatch.setattr(bound, "numbers_at_once", lambda device: 3 * x.numel())
    torch.manual_seed(1)
    torch.testing.assert_close(model.log_weights(x, samples=11), whole)


def test_training_reaches_the_exact_log_prob():
    """The encoder of a linear VAE, spoilt and trained by the ELBO, finds probabilistic PCA's posterior again."""
    model, exact, _ = linear_gaussian(off=1.0)
    x = exact.sample((2000,))
    with torch.no_grad():
        assert (exact.log_prob(x) - model.log_prob(x)).mean() > 1
    optimiser = torch.optim.LBFGS(model.encoder.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        torch.manual_seed(0)  # the same noise each time, as a line search needs
        optimiser.zero_grad()
        turn = next(model.turns(x))
        turn.loss.backward()
        return turn.loss

    optimiser.step(loss)
    with torch.no_grad():
        gap = torch.stack([exact.log_prob(x) - model.log_prob(x) for _ in range(50)]).mean()
    assert -0.02 < gap < 0.05


def test_rate_and_distortion_are_the_halves_of_the_bound():
    model, x = mlp_vae(BINARY), torch.randint(2, (4, 1, 8, 8)).float()
    torch.manual_seed(1)
    rate, distortion = model.rate_distortion(x)
    torch.manual_seed(1)
    torch.testing.assert_close(model.log_prob(x), -(rate + distortion))
    assert (rate >= 0).all()
    assert (distortion > 0).all()


@pytest.mark.parametrize("options", [{"beta": 4.0}, {"free_bits": 2.0}, {"kl_warmup": 10}])
def test_what_training_charges_does_not_change_what_is_reported(options):
    plain, charged = mlp_vae(BINARY, latent=3), mlp_vae(BINARY, latent=3, **options)
    charged.load_state_dict(plain.state_dict())
    x, found = torch.randint(2, (4, 1, 8, 8)).float(), []
    for model in (plain, charged):
        torch.manual_seed(1)
        turn = next(model.turns(x))
        torch.manual_seed(1)
        found.append((turn.loss, turn.logs["bits_per_dim"], model.log_prob(x)))
    (loss, bits, log_prob), (charged_loss, charged_bits, charged_log_prob) = found
    assert (loss - charged_loss).abs() > 1e-3
    torch.testing.assert_close((charged_bits, charged_log_prob), (bits, log_prob))
    torch.testing.assert_close(loss, bits)


def test_the_rate_is_charged_in_full_from_the_end_of_the_warm_up():
    model, x = mlp_vae(BINARY, latent=3, kl_warmup=10), torch.randint(2, (4, 1, 8, 8)).float()
    shares = []
    for step in (0, 5, 10, 99):
        torch.manual_seed(1)
        turn = next(model.turns(x, step=step))
        shares.append((turn.loss * 64 * math.log(2) - turn.logs["distortion"]) / turn.logs["rate"])
    torch.testing.assert_close(torch.stack(shares), torch.tensor([0.0, 0.5, 1.0, 1.0]), atol=1e-4, rtol=0)


def gradients(model: VAE, x: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """n draws of the gradient of the loss in the encoder and in the decoder, (n, parameters) each."""
    found = []
    for _ in range(n):
        loss = next(model.turns(x)).loss
        halves = [list(model.encoder.parameters()), list(model.decoder.parameters())]
        found.append(
            [torch.cat([g.flatten() for g in torch.autograd.grad(loss, half, retain_graph=True)]) for half in halves]
        )
    encoder, decoder = zip(*found, strict=True)
    return torch.stack(encoder), torch.stack(decoder)


@pytest.mark.parametrize("draws", [1, 8])
def test_the_doubly_reparametrised_gradient_has_the_same_mean_and_less_noise(draws):
    torch.manual_seed(2)
    plain, exact, _ = linear_gaussian(off=0.1, draws=draws)
    doubly = copy.deepcopy(plain)
    doubly.objective = dataclasses.replace(plain.objective, gradient="doubly")
    x, n = exact.sample((3,)), 400
    (a_encoder, a_decoder), (b_encoder, b_decoder) = gradients(plain, x, n), gradients(doubly, x, n)
    for a, b in ((a_encoder, b_encoder), (a_decoder, b_decoder)):
        assert ((a.mean(0) - b.mean(0)).abs() < 5 * ((a.var(0) + b.var(0)) / n).sqrt() + 1e-9).all()
    assert b_encoder.var(0).sum() < 0.5 * a_encoder.var(0).sum()


def test_at_the_exact_posterior_the_doubly_reparametrised_gradient_of_the_encoder_vanishes():
    """Every weight is p(x) whatever z is, so no draw says anything; the plain gradient is noise about 0."""
    model, _, x = linear_gaussian(draws=4, gradient="doubly")
    encoder, _ = gradients(model, x, 3)
    torch.testing.assert_close(encoder, torch.zeros_like(encoder))


@torch.no_grad()
def test_training_by_many_draws_logs_the_bound_of_so_many():
    model, exact, x = linear_gaussian(draws=6, beta=3.0)
    bits = next(model.turns(x)).logs["bits_per_dim"]
    torch.testing.assert_close(bits, -exact.log_prob(x).mean() / (D * math.log(2)))


def test_a_conditional_model_knows_what_its_labels_say():
    """Class 0 is all black and class 1 all white: log p(x | y) goes to 0, that of the other label far below."""
    torch.manual_seed(0)
    spec = Spec("images", (1, 8, 8), 2, ("black", "white"))
    model = mlp_vae(spec, latent=2, hidden=(16,), conditional=True)
    y = torch.tensor([0, 1] * 16)
    x = y.float().view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(300):
        optimiser.zero_grad()
        next(model.turns(x, y)).loss.backward()
        optimiser.step()
    with torch.no_grad():
        assert model.log_prob(x, y).min() > -1
        assert model.log_prob(x, 1 - y).max() < -50
        torch.testing.assert_close(model.sample(32, y, seed=0, temperature=0), x)
        torch.testing.assert_close(model.complete(x, torch.zeros(1) > 0, y, seed=0, temperature=0, sweeps=2), x)
        assert set(model.sample(50, seed=0).mean((1, 2, 3)).round().tolist()) == {0, 1}  # of either class
    with pytest.raises(UserError, match="give y, from 0 to 1"):
        model.log_prob(x)


@torch.no_grad()
def test_completion_follows_the_exact_conditional():
    """Of a Gaussian p(x) with the last three of five known, whatever q is."""
    torch.manual_seed(1)
    model, exact, x = linear_gaussian(off=0.4)
    n = 6000
    one, known = x[:1].expand(n, -1), torch.tensor([False, False, True, True, True])
    found = model.complete(one, known, seed=0, sweeps=40)
    torch.testing.assert_close(found[:, 2:], one[:, 2:], rtol=0, atol=0)
    C, m = exact.covariance_matrix, exact.mean
    gain = C[:2, 2:] @ torch.linalg.inv(C[2:, 2:])
    mean, cov = m[:2] + gain @ (x[0, 2:] - m[2:]), C[:2, :2] - gain @ C[2:, :2]
    hidden = found[:, :2]
    assert ((hidden.mean(0) - mean).abs() < 5 * (cov.diagonal() / n).sqrt()).all()
    torch.testing.assert_close(hidden.T.cov(), cov, rtol=0.1, atol=0.1 * cov.diagonal().min().item())
    torch.testing.assert_close(found, model.complete(one, known, seed=0, sweeps=40), rtol=0, atol=0)


@pytest.mark.slow
def test_a_trained_linear_vae_is_probabilistic_pca():
    """Its ELBO is scikit-learn's exact log p(x), never above it, and its decoder spans the principal axes."""
    from sklearn.decomposition import PCA

    torch.manual_seed(0)
    x = (
        torch.randn(1500, 6).double()
        * torch.tensor([3.0, 2.0, 0.6, 0.5, 0.5, 0.4])
        @ torch.linalg.qr(torch.randn(6, 6)).Q.double()
        + 5
    )
    # Columns with one scale in all, so that the door, which standardises each, keeps the axes.
    spec = Spec("points", (6,), columns=tuple(Column(str(i), mean=5.0, std=2.0) for i in range(6)))
    model = linear_vae(spec, latent=2).double()
    steps, optimiser = 1500, torch.optim.Adam(model.parameters(), 0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        next(model.turns(x)).loss.backward()
        optimiser.step()
        schedule.step()
    pca = PCA(2).fit(x.numpy())
    with torch.no_grad():
        elbos = torch.stack([model.log_prob(x).mean() for _ in range(200)])
    elbo, noise = elbos.mean().item(), elbos.std().item() / 200**0.5
    assert pca.score(x.numpy()) - 0.01 < elbo < pca.score(x.numpy()) + 4 * noise
    means = model.decoder.linear.weight.detach().unflatten(0, (6, 3))[:, 1]  # of (logit, mean, log scale)
    axes = torch.from_numpy(pca.components_)
    cosines = torch.linalg.svdvals(axes @ torch.linalg.qr(means).Q)
    assert cosines.min().acos() < 0.03


@pytest.mark.parametrize("spec", [BINARY, GREY], ids=["binary", "grey"])
@torch.no_grad()
def test_draws_follow_the_likelihood_weighed(spec):
    """E over draws of p(x) of any pixel is E over z of the mean that decode gives."""
    model = vae(spec, latent=2, width=4)
    x, mean = model.sample(4000, seed=0), model.decode(model.prior(4000, seed=1))
    assert ((x * (spec.levels - 1)).round() / (spec.levels - 1) - x).abs().max() < 1e-6
    standard_error = (x.var(0) / 4000 + mean.var(0) / 4000).sqrt()
    # A mean of discretised intensities is known to half a bin.
    slack = 0.5 / (spec.levels - 1) if spec.levels > 2 else 0
    assert ((x.mean(0) - mean.mean(0)).abs() < 5 * standard_error + slack).all()


@pytest.mark.parametrize(
    ("spec", "x"),
    [(BINARY, torch.ones(3, 1, 8, 8)), (GREY, torch.full((3, 1, 9, 8), 0.2)), (ROWS, ROWS_X)],
    ids=["binary", "grey", "table"],
)
@pytest.mark.parametrize("build", [vae, mlp_vae])
@torch.no_grad()
def test_every_kind_of_data_in_either_precision(build, spec, x):
    model = build(spec, latent=4)
    z = model.encode(x)
    assert z.shape == (3, 4)
    assert model.reconstruct(x).shape == x.shape
    torch.testing.assert_close(model.encode(x[:1]), z[:1])  # no item depends on its companions
    torch.testing.assert_close(model.decode(z[:1]), model.decode(z)[:1], equal_nan=True)
    torch.testing.assert_close(model.sample(5, seed=3), model.sample(5, seed=3), rtol=0, atol=0, equal_nan=True)
    assert not model.sample(5, seed=3).equal(model.sample(5, seed=4))
    torch.testing.assert_close(
        model.sample(2, seed=1, temperature=0), model.sample(2, seed=2, temperature=0), equal_nan=True
    )
    assert model.log_prob(x, samples=3).dtype == torch.float32
    assert model.double().log_prob(x, samples=3).dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert model.float().log_prob(x, samples=3).dtype == torch.float32


def test_the_wide_perceptrons_stay_within_a_million_parameters():
    model = find("wide-mlp-vae").resolved("images").model(Spec("images", (1, 28, 28), levels=2))
    assert 900_000 < sum(p.numel() for p in model.parameters()) <= 1_000_000


def test_a_network_that_does_not_fit_is_refused():
    with pytest.raises(UserError, match=r"encoder gives shape \(B, 5\), but the model needs \(B, 8\)"):
        vae(BINARY, latent=4, encoder=nn.Sequential(nn.Flatten(), nn.Linear(64, 5)))
    with pytest.raises(UserError, match=r"decoder cannot take numbers of shape \(B, 4\)"):
        vae(BINARY, latent=4, decoder=nn.Linear(7, 64))
    with pytest.raises(UserError, match="binary images"):
        vae(GREY, likelihood="bernoulli")
    with pytest.raises(UserError, match="needs labels"):
        vae(BINARY, conditional=True)
    with pytest.raises(UserError, match="choose one"):
        vae(BINARY, draws=5, free_bits=0.5)
