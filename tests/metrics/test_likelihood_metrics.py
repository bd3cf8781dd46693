from __future__ import annotations

import math

import torch
from torch.distributions import Normal

from lookalike.metrics.likelihood import bits_per_dim, effective_samples, kl_to_truth, nats


def test_bits_per_dim_of_uniform_bytes_is_eight():
    log_prob = torch.full((3,), -784 * math.log(256))
    torch.testing.assert_close(bits_per_dim(log_prob, 784), torch.full((3,), 8.0))
    torch.testing.assert_close(nats(log_prob), -log_prob)


def test_one_impossible_item_makes_the_mean_infinite():
    log_prob = torch.tensor([-1.0, -math.inf])
    assert bits_per_dim(log_prob, 2).mean() == math.inf
    assert nats(log_prob).mean() == math.inf
    assert bits_per_dim(torch.tensor([-1.0, math.nan]), 2).mean().isnan()


def test_kl_to_truth_estimates_the_divergence():
    truth, model = Normal(0.0, 1.0), Normal(1.0, 2.0)
    x = truth.sample((50_000,))
    draws = kl_to_truth(model.log_prob(x), truth.log_prob(x))
    expected = torch.distributions.kl_divergence(truth, model)
    assert (draws.mean() - expected).abs() < 4 * draws.std() / len(draws) ** 0.5


def test_as_many_samples_count_as_weigh_alike():
    weights = torch.tensor([[0.0] * 10, [0.0] + [-60.0] * 9, [-900.0, -990.0] * 5], dtype=torch.float64)
    torch.testing.assert_close(effective_samples(weights), torch.tensor([10.0, 1.0, 5.0], dtype=torch.float64))
