"""The mixture of logistics is a distribution over all pixels, given channel by channel or at once."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.errors import UserError
from lookalike.nn.likelihoods import Bernoulli, Categorical
from lookalike.nn.mixture import Mixture, pixelwise
from lookalike.spec import Column, Spec


def pixel(channels: int, levels: int) -> Spec:
    return Spec("images", (channels, 1, 1), levels=levels)


def every_pixel(channels: int, levels: int) -> torch.Tensor:
    values = (torch.arange(levels, dtype=torch.float64) / (levels - 1)).tolist()
    return torch.tensor(list(itertools.product(values, repeat=channels)), dtype=torch.float64)


@pytest.mark.parametrize(("channels", "levels"), [(1, 2), (1, 256), (2, 16), (3, 7), (4, 4)])
def test_pixels_sum_to_one_and_channels_chain_to_pixels(channels, levels):
    p_x, x = Mixture(pixel(channels, levels), 3).double(), every_pixel(channels, levels)
    params = 2 * torch.randn(1, p_x.width, dtype=torch.float64).expand(len(x), -1)
    log_prob = p_x.log_prob(x[..., None, None], params[..., None, None])
    assert abs(log_prob.exp().sum().item() - 1) < 1e-12
    chain = torch.zeros_like(log_prob)
    for c in range(channels):
        hidden = x.clone()
        hidden[:, c:] = torch.nan  # only the channels before c may be looked at
        log_pmf = p_x.log_pmf(params, hidden, c)
        torch.testing.assert_close(log_pmf.exp().sum(1), torch.ones(len(x), dtype=torch.float64))
        k = (x[:, c] * (levels - 1)).round().long()
        chain = chain + log_pmf.gather(1, k[:, None])[:, 0]
    torch.testing.assert_close(chain, log_prob, rtol=1e-10, atol=1e-10)


def test_it_is_the_formula_of_the_paper():
    """By loops over components and channels, with the difference of distribution functions as it stands."""
    levels, K = 6, 2
    p_x, x = Mixture(pixel(3, levels), K).double(), every_pixel(3, levels)
    params = torch.randn(p_x.width, dtype=torch.float64)
    logits, means, log_scales, coefficients = params.split([K, 3 * K, 3 * K, 3 * K])
    means, log_scales, coefficients = (part.view(3, K) for part in (means, log_scales, coefficients))
    h = 2 * x - 1
    total = torch.zeros(len(x), dtype=torch.float64)
    for k in range(K):
        a = coefficients[:, k].tanh()
        red, green, blue = means[:, k]
        mean = [red + 0 * h[:, 0], green + a[0] * h[:, 0], blue + a[1] * h[:, 0] + a[2] * h[:, 1]]
        probs = logits.softmax(0)[k]
        for c in range(3):
            s, half_bin = log_scales[c, k].exp(), 1 / (levels - 1)
            upper = ((h[:, c] + half_bin - mean[c]) / s).sigmoid().masked_fill(x[:, c] == 1, 1.0)
            lower = ((h[:, c] - half_bin - mean[c]) / s).sigmoid().masked_fill(x[:, c] == 0, 0.0)
            probs = probs * (upper - lower)
        total = total + probs
    found = p_x.log_prob(x[..., None, None], params.expand(len(x), -1)[..., None, None])
    torch.testing.assert_close(found.exp(), total)


@given(mean=st.floats(-100, 100), log_scale=st.floats(-20, 20), logit=st.floats(-100, 100))
@settings(max_examples=60, deadline=None)
def test_far_in_the_tails_it_stays_a_probability_with_finite_gradients(mean, log_scale, logit):
    p_x, x = Mixture(pixel(2, 256), 2), every_pixel(1, 256).float().repeat(1, 2)
    params = torch.tensor([logit, 0.0] + [mean, -mean] * 2 + [log_scale, 0.0] * 2 + [50.0, -50.0])
    params = params.expand(len(x), -1).clone().requires_grad_()
    log_prob = p_x.log_prob(x[..., None, None], params[..., None, None])
    assert log_prob.isfinite().all()
    assert (log_prob <= 1e-5).all()
    log_pmf = p_x.log_pmf(params, x, 1)
    assert (log_pmf.double().exp().sum(1) - 1).abs().max() < 2e-3
    (log_prob.sum() + log_pmf.sum()).backward()
    assert params.grad.isfinite().all()


def test_params_of_bf16_are_taken_in_float32():
    p_x, x = Mixture(pixel(3, 256), 4), every_pixel(3, 3).float()
    params = torch.randn(len(x), p_x.width, 1, 1).bfloat16()
    log_prob = p_x.log_prob(x[..., None, None], params)
    assert log_prob.dtype == torch.float32
    torch.testing.assert_close(log_prob, p_x.log_prob(x[..., None, None], params.float()), rtol=0, atol=0)


def test_it_starts_with_a_first_channel_of_any_intensity_and_the_others_near_it():
    p_x, red = Mixture(pixel(3, 256), 10), torch.full((1, 3), 0.8)
    probs = p_x.log_pmf(p_x.spread()[None], red, 0).exp() * 256
    assert probs[:, 1:-1].min() > 0.4
    assert probs[:, 1:-1].max() < 1.5
    green = p_x.log_pmf(p_x.spread()[None], red, 1).exp() @ torch.linspace(0, 1, 256)
    assert abs(green - 0.8) < 0.1


def test_one_switch_chooses_the_likelihood():
    assert isinstance(pixelwise(pixel(1, 2)), Bernoulli)
    assert isinstance(pixelwise(pixel(1, 256)), Categorical)
    assert isinstance(pixelwise(pixel(1, 2), "categorical"), Categorical)
    mixture = pixelwise(pixel(3, 256), "mixture", 5)
    assert isinstance(mixture, Mixture)
    assert mixture.width == 5 * (1 + 3 + 3 + 3)
    with pytest.raises(UserError, match="is for binary images"):
        pixelwise(pixel(1, 3), "bernoulli")
    with pytest.raises(UserError, match="this data is points"):
        pixelwise(Spec("points", (1,), columns=(Column("a"),)))


@pytest.mark.parametrize("levels", [2, 3, 17, 256])
def test_the_quantile_in_closed_form_is_that_of_the_probabilities(levels):
    n = 3000
    p_x = Mixture(pixel(2, levels), 4).double()
    params = 2 * torch.randn(n, p_x.width, dtype=torch.float64)
    x, u = torch.rand(n, 2, dtype=torch.float64), torch.rand(n, dtype=torch.float64)
    for c in range(2):
        k = p_x.quantile(params, x, c, u)
        assert torch.equal(k, super(Mixture, p_x).quantile(params, x, c, u))
        assert k.unique().numel() > min(levels, 50) / 2
        assert (p_x.quantile(params, x, c, torch.zeros_like(u)) == 0).float().mean() > 0.9
        assert (p_x.quantile(params, x, c, torch.full_like(u, 1 - 1e-16)) <= levels - 1).all()
