"""Likelihoods are probabilities: they sum and integrate to 1, at any parameters, and draws follow them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.errors import UserError
from lookalike.nn.likelihoods import Categorical, Discretised
from lookalike.nn.rows import Columns, likelihood
from lookalike.spec import Column, Spec


def pixel(levels: int) -> Spec:
    return Spec("images", (1, 1, 1), levels=levels)


def all_levels(levels: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (torch.arange(levels, dtype=dtype) / (levels - 1)).view(-1, 1, 1, 1)


def params_of(p_x, mean: float, log_scale: float, count: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """The same parameters for `count` one-pixel images."""
    values = [mean, log_scale] if p_x.width == 2 else [mean]
    if p_x.width == 1:
        p_x.log_scale.data.fill_(log_scale)
    return torch.tensor(values, dtype=dtype).view(1, -1, 1, 1).repeat(count, 1, 1, 1)


@pytest.mark.parametrize("levels", [2, 4, 256])
@pytest.mark.parametrize("distribution", ["logistic", "gaussian"])
@given(mean=st.floats(-30, 30), log_scale=st.floats(-12, 12))
@settings(max_examples=60, deadline=None)
def test_discretised_probabilities_sum_to_one_and_have_finite_gradients(distribution, levels, mean, log_scale):
    p_x = Discretised(pixel(levels), distribution)
    params = params_of(p_x, mean, log_scale, levels).requires_grad_()
    log_prob = p_x.log_prob(all_levels(levels), params)
    assert log_prob.isfinite().all()
    assert (log_prob <= 0).all()
    assert abs(log_prob.double().exp().sum().item() - 1) < 2e-3
    log_prob.sum().backward()
    assert params.grad.isfinite().all()
    assert p_x.log_scale is None or p_x.log_scale.grad.isfinite()

    exact = p_x.double().log_prob(all_levels(levels, torch.float64), params.detach().double())
    assert abs(exact.exp().sum().item() - 1) < 1e-6


@pytest.mark.parametrize(("distribution", "cdf"), [("logistic", torch.sigmoid), ("gaussian", torch.special.ndtr)])
def test_discretised_is_the_distribution_function_over_the_bin(distribution, cdf):
    p_x = Discretised(pixel(8), distribution).double()
    params = params_of(p_x, 0.3, -1.2, 8, torch.float64)
    edges = (torch.arange(1, 8, dtype=torch.float64) * 2 - 1) / 7 - 1  # between the levels, in [-1, 1]
    F = torch.cat([torch.zeros(1), cdf((edges - 0.3) / math.exp(-1.2)), torch.ones(1)])
    torch.testing.assert_close(p_x.log_prob(all_levels(8, torch.float64), params).exp(), F.diff())


@pytest.mark.parametrize("levels", [4, 256])
@pytest.mark.parametrize("distribution", ["logistic", "gaussian"])
@pytest.mark.parametrize(("mean", "log_scale"), [(0.2, -3.0), (-0.9, -1.0), (1.5, -0.5), (0.0, 4.0)])
def test_discretised_mean_and_draws_follow_the_probabilities(distribution, levels, mean, log_scale):
    p_x = Discretised(pixel(levels), distribution)
    x = all_levels(levels).flatten()
    probs = p_x.log_prob(all_levels(levels), params_of(p_x, mean, log_scale, levels)).exp()
    params = params_of(p_x, mean, log_scale, 20_000)
    found = p_x.mean(params[:1]).item()
    assert abs(found - (probs * x).sum().item()) <= 0.5 / (levels - 1)
    draws = (p_x.sample(params).flatten() * (levels - 1)).round().long()
    drawn = torch.bincount(draws, minlength=levels) / len(draws)
    assert (drawn - probs).abs().max() < 5 * (0.25 / len(draws)) ** 0.5
    assert p_x.sample(params, temperature=0).unique().numel() == 1


@given(logit=st.floats(-200, 200))
@settings(max_examples=50, deadline=None)
def test_bernoulli_sums_to_one(logit):
    p_x = likelihood(pixel(2), "auto")
    params = torch.full((2, 1, 1, 1), logit, requires_grad=True)
    log_prob = p_x.log_prob(all_levels(2), params)
    assert abs(log_prob.exp().sum().item() - 1) < 1e-6
    log_prob.sum().backward()
    assert params.grad.isfinite().all()
    assert abs(p_x.mean(params)[0].item() - log_prob[1].exp().item()) < 1e-6


def test_categorical_sums_to_one_and_its_mean_is_the_mean():
    p_x = Categorical(pixel(5))
    params = torch.randn(1, 5, 1, 1).expand(5, -1, -1, -1)
    probs = p_x.log_prob(all_levels(5), params).exp()
    assert abs(probs.sum().item() - 1) < 1e-6
    torch.testing.assert_close(p_x.mean(params)[0].squeeze(), (probs * all_levels(5).flatten()).sum())


MIXED = Spec(
    "table",
    (3,),
    columns=(
        Column("number", mean=30.0, std=12.0),
        Column("category", ("a", "b", "c")),
        Column("gappy", mean=-2.0, std=0.3, missing=True),
    ),
)


def test_columns_integrate_to_one_in_the_users_units():
    """Integral over numbers, sum over categories, with the gap as a value of its own."""
    p_x = Columns(MIXED, components=2).double()
    params = torch.randn(1, p_x.width, dtype=torch.float64)
    a = torch.linspace(30 - 12 * 12, 30 + 12 * 12, 400, dtype=torch.float64)
    b = torch.linspace(-2 - 12 * 0.3, -2 + 12 * 0.3, 400, dtype=torch.float64)
    total = 0.0
    for category in range(3):
        grid = torch.cartesian_prod(a, b)
        x = torch.stack([grid[:, 0], torch.full_like(grid[:, 0], category), grid[:, 1]], 1)
        density = p_x.log_prob(x, params.expand(len(x), -1)).exp()
        total += density.sum().item() * (a[1] - a[0]).item() * (b[1] - b[0]).item()
        x = torch.stack([a, torch.full_like(a, category), torch.full_like(a, math.nan)], 1)
        total += p_x.log_prob(x, params.expand(len(x), -1)).exp().sum().item() * (a[1] - a[0]).item()
    assert total == pytest.approx(1, abs=1e-4)


def test_columns_draws_follow_the_mean_the_categories_and_the_gaps():
    p_x, n = Columns(MIXED, components=2), 20_000
    params = torch.randn(1, p_x.width).expand(n, -1)
    x, mean = p_x.sample(params), p_x.mean(params)[0]
    there = ~x[:, 2].isnan()
    for values, expected in ((x[:, 0], mean[0]), (x[there, 2], mean[2])):
        if not expected.isnan():
            assert (values.mean() - expected).abs() < 5 * values.std() / len(values) ** 0.5
    parts = [part[0].softmax(0) for field, part in p_x.parts(params) if not field.real]
    for probs, drawn in zip(parts, (torch.bincount(x[:, 1].long(), minlength=3), there.sum()), strict=True):
        drawn = drawn / n if drawn.dim() else torch.stack([drawn / n, 1 - drawn / n])
        assert (drawn - probs).abs().max() < 5 * (0.25 / n) ** 0.5


def test_a_missing_number_costs_only_its_gap():
    p_x = Columns(MIXED)
    params = torch.randn(1, p_x.width)
    changed = params.clone()
    changed[:, -2:] += 3.0  # mean and scale of the number that is not there
    x = torch.tensor([[20.0, 1, math.nan]], dtype=torch.float64)
    torch.testing.assert_close(p_x.log_prob(x, params), p_x.log_prob(x, changed))


@given(mean=st.floats(-1e3, 1e3), log_scale=st.floats(-50, 50))
@settings(max_examples=50, deadline=None)
def test_columns_have_finite_gradients(mean, log_scale):
    p_x = Columns(Spec("points", (1,), columns=(Column("a"),)))
    params = torch.tensor([[0.0, mean, log_scale]], requires_grad=True)
    log_prob = p_x.log_prob(torch.ones(1, 1, dtype=torch.float64), params)
    log_prob.sum().backward()
    assert log_prob.isfinite().all()
    assert params.grad.isfinite().all()


@pytest.mark.parametrize("name", ["bernoulli", "logistic"])
def test_a_likelihood_of_images_is_refused_for_a_table(name):
    with pytest.raises(UserError, match="is for images"):
        likelihood(MIXED, name)
    with pytest.raises(UserError, match="needs binary images"):
        likelihood(pixel(4), "bernoulli")
