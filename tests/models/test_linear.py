"""Factor analysis and probabilistic PCA: scikit-learn's density, exact marginals and conditionals, EM with gaps."""

from __future__ import annotations

import math

import numpy as np
import pandas
import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from lookalike.data import Data, open_data
from lookalike.models.tractable.linear.gaussian import SCIKIT, LinearGaussian
from lookalike.models.tractable.linear.recipes import RECIPES
from lookalike.spec import Column, Spec
from lookalike.training.loop import fit


def trained(name: str, data: Data, **options: object) -> LinearGaussian:
    recipe = RECIPES[name].resolved(data.spec.kind, options)
    return fit(recipe.model(data.spec), data, recipe.numbers).average.eval()


def gappy(latent: int = 2) -> LinearGaussian:
    """A random model of four numbers, of which two may be missing, and a category."""
    torch.manual_seed(1)
    columns = (
        Column("a", mean=3, std=2, missing=True),
        Column("b", mean=-1, std=0.5),
        Column("w", ("x", "y", "z")),
        Column("c", mean=0, std=1, missing=True),
        Column("d", mean=10, std=4),
    )
    model = LinearGaussian(Spec("table", (5,), columns=columns), latent, isotropic=False).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return model


def dense(model: LinearGaussian) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the numbers in the user's units."""
    mean = torch.tensor([model.spec.columns[f.column].mean for f in model.numbers], dtype=torch.float64)
    std = torch.tensor([model.spec.columns[f.column].std for f in model.numbers], dtype=torch.float64)
    covariance = model.weight @ model.weight.t() + model.noise().diag()
    return (mean + std * model.mean).detach(), (std[:, None] * covariance * std).detach()


@pytest.mark.parametrize("standardise", [True, False])
def test_ppca_has_the_log_prob_of_scikit_learn(standardise):
    from sklearn.decomposition import PCA

    data = open_data("wine")
    model = trained("ppca", data, latent=3, standardise=standardise)
    train, test = (split.first(1000)[0].numpy() for split in (data.train, data.test))
    std = np.array([column.std for column in data.spec.columns]) if standardise else np.ones(train.shape[1])
    theirs = PCA(3, svd_solver="full").fit(train / std).score_samples(test / std) - np.log(std).sum()
    ours = model.log_prob(torch.from_numpy(test)).detach()
    torch.testing.assert_close(ours.double(), torch.from_numpy(theirs), atol=1e-4, rtol=0)


def test_factor_analysis_has_the_log_prob_of_scikit_learn():
    from sklearn.decomposition import FactorAnalysis

    data = open_data("wine")
    model = trained("factor-analysis", data, latent=3)
    train, test = (split.first(1000)[0].numpy() for split in (data.train, data.test))
    std = np.array([column.std for column in data.spec.columns])
    theirs = FactorAnalysis(3, svd_method="lapack", **SCIKIT).fit(train / std).score_samples(test / std)
    theirs -= np.log(std).sum()
    ours = model.log_prob(torch.from_numpy(test)).detach()
    torch.testing.assert_close(ours.double(), torch.from_numpy(theirs), atol=1e-4, rtol=0)


def test_a_gap_drops_out_of_the_density_and_costs_its_probability():
    model, x = gappy(), torch.tensor([[1.0, -1, 2, 0.5, 9], [math.nan, -0.5, 0, 1, 12], [math.nan, 0, 1, math.nan, 8]])
    mean, covariance = dense(model)
    gates, words = model.logits.split([2, 3, 2])[0], model.logits.split([2, 3, 2])[1]
    other = model.logits.split([2, 3, 2])[2]
    found = model.log_prob(x.double())
    for row, log_prob in zip(x.double(), found, strict=True):
        numbers = row[[0, 1, 3, 4]]
        kept = ~numbers.isnan()
        expected = MultivariateNormal(mean[kept], covariance[kept][:, kept]).log_prob(numbers[kept])
        expected = expected + gates.log_softmax(0)[int(row[0].isnan())] + other.log_softmax(0)[int(row[3].isnan())]
        torch.testing.assert_close(log_prob, expected + words.log_softmax(0)[int(row[2])])


def test_what_is_missing_is_drawn_from_the_exact_conditional():
    model, n = gappy(), 40_000
    mean, covariance = dense(model)
    row = torch.tensor([1.0, -1, 2, 0.5, 9], dtype=torch.float64)
    mask = torch.tensor([True, False, True, True, False])
    drawn = model.complete(row.expand(n, -1), mask, seed=0)
    assert torch.equal(drawn[:, mask], row[mask].expand(n, -1))
    known, hidden = [0, 2], [1, 3]  # of the numbers a, b, c, d
    gain = covariance[hidden][:, known] @ torch.linalg.inv(covariance[known][:, known])
    expected = mean[hidden] + gain @ (row[[0, 3]] - mean[known])
    spread = covariance[hidden][:, hidden] - gain @ covariance[known][:, hidden]
    found = drawn[:, ~mask]
    assert ((found.mean(0) - expected).abs() < 5 * (spread.diagonal() / n).sqrt()).all()
    torch.testing.assert_close(found.t().cov(), spread, rtol=0.05, atol=0.02)


def test_samples_have_the_stated_moments_and_gaps():
    model, n = gappy(), 40_000
    mean, covariance = dense(model)
    x = model.sample(n, seed=0)
    full = x[~x.isnan().any(1)][:, [0, 1, 3, 4]]
    torch.testing.assert_close(full.t().cov(), covariance, rtol=0.1, atol=0.05 * float(covariance.max()))
    assert (x[:, 0].isnan().double().mean() - model.logits[:2].softmax(0)[1]).abs() < 0.02
    assert not x[:, [1, 2, 4]].isnan().any()
    torch.testing.assert_close(full.mean(0), mean, rtol=0, atol=0.2)


@pytest.mark.parametrize("isotropic", [True, False])
def test_the_solution_is_where_the_likelihood_is_flat_with_gaps_too(isotropic):
    torch.manual_seed(0)
    columns = tuple(Column(name, std=s, missing=True) for name, s in zip("abcde", (1, 2, 0.5, 1, 3), strict=True))
    model = LinearGaussian(Spec("table", (5,), columns=columns), 2, isotropic, standardise=not isotropic).double()
    z = torch.randn(400, 2, dtype=torch.float64)
    x = z @ torch.randn(2, 5, dtype=torch.float64) + 0.4 * torch.randn(400, 5, dtype=torch.float64) + 1
    x[torch.rand(400, 5) < 0.3] = math.nan
    model.solve(x)
    model.log_prob(x).mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().max() < 2e-2, name
    solved = model.log_prob(x).mean()
    with torch.no_grad():  # the solution of the rows filled with means, where EM began, is less likely
        model.solve(torch.where(x.isnan(), x.nanmean(0), x))
        assert model.log_prob(x).mean() < solved - 0.05


def test_probabilistic_pca_spans_the_principal_components():
    data = open_data("wine")
    model = trained("ppca", data, latent=2)
    h = model.door.enter(data.train.first(1000)[0]).double()
    V = torch.linalg.svd(h - h.mean(0), full_matrices=False).Vh[:2]
    U = torch.linalg.qr(model.weight.double()).Q
    assert torch.linalg.matrix_norm(U - V.t() @ (V @ U), ord=2) < 1e-4


def test_tables_without_a_number_or_with_one_are_no_special_case():
    words = pandas.DataFrame({"a": ["x", "y", "y"] * 20, "b": ["u", "v"] * 30})
    for frame in (words, np.random.default_rng(0).normal(size=(60, 1))):
        data = open_data(frame)
        for name in RECIPES:
            model, (x, _) = trained(name, data), data.test.first(5)
            assert model.latent == 0
            assert model.log_prob(x).isfinite().all()
            assert model.encode(x).shape == (len(x), 0)
            assert model.sample(3, seed=0).shape == (3, data.spec.dims)
