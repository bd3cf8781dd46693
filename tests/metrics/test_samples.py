"""What is asked of samples: told apart, judged by classes, copied, and along paths; each against what it must be."""

from __future__ import annotations

import math

import pytest
import torch
from torchmetrics.image.inception import InceptionScore

from lookalike.errors import UserError
from lookalike.metrics.copying import copying
from lookalike.metrics.judged import inception_score
from lookalike.metrics.modes import classes_found, classes_reverse_kl, divergence, reverse_kl
from lookalike.metrics.paths import EPSILON, path_length
from lookalike.metrics.twosample import two_sample_test


def test_samples_of_the_data_are_told_apart_by_chance_alone_and_others_always():
    of = [two_sample_test(torch.randn(300, 5), torch.randn(400, 5), seed) for seed in range(40)]
    accuracy = torch.stack([found.accuracy.value for found in of])
    assert abs(accuracy.mean() - 0.5) < 4 * 0.5 / math.sqrt(300 * 40)
    assert 0.2 < torch.stack([found.p_value for found in of]).mean() < 0.8
    apart = two_sample_test(torch.randn(300, 5), torch.randn(300, 5) + 10)
    assert apart.accuracy.value == 1
    assert apart.p_value < 1e-30
    shifted = two_sample_test(torch.randn(1000, 1), torch.randn(1000, 1) + 1)
    best = 0.5 * (1 + math.erf(0.5 / math.sqrt(2)))  # that of Bayes' rule
    assert shifted.accuracy.value.item() == pytest.approx(best, abs=0.06)
    with pytest.raises(UserError, match="at least 20 items of each, but got 19 real and 50"):
        two_sample_test(torch.randn(19, 5), torch.randn(50, 5))


def test_a_chance_is_that_of_the_normal_law():
    found = two_sample_test(torch.randn(500, 2), torch.randn(500, 2) + 0.3)
    z = (found.accuracy.value.item() - 0.5) * 2 * math.sqrt(500)
    assert found.p_value.item() == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)))


def test_inception_score_of_sure_and_balanced_classes_is_their_number():
    logits = 100 * torch.eye(4).repeat(50, 1)
    assert inception_score(logits).value.item() == pytest.approx(4)
    assert inception_score(logits[:, :1].expand(-1, 4)).value.item() == pytest.approx(1)
    logits = torch.randn(400, 7)
    reference = InceptionScore.__new__(InceptionScore)
    torch.nn.Module.__init__(reference)
    reference.splits, reference.features = 10, [logits]
    torch.manual_seed(3)
    mean, std = reference.compute()
    torch.manual_seed(3)  # theirs shuffles
    value, standard_error = inception_score(logits[torch.randperm(400)])
    assert value.item() == pytest.approx(mean.item(), rel=1e-5)
    assert standard_error.item() == pytest.approx(std.item() / math.sqrt(10), rel=1e-4)
    with pytest.raises(UserError, match="at least 20 samples, but got 19"):
        inception_score(logits[:19])


def test_reverse_kl_by_hand():
    modes = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    fake = modes[torch.tensor([0, 0, 0, 1])] + 0.1
    # q = (3/4, 1/4, 0, 0) and p = 1/4 each: 3/4 log 3 + 1/4 log 1.
    assert reverse_kl(fake, modes).value.item() == pytest.approx(0.75 * math.log(3))
    assert reverse_kl(modes, modes).value.item() == pytest.approx(0)
    fake[3] = math.nan
    assert reverse_kl(fake, modes).value.item() == pytest.approx(math.log(4))
    shares = torch.tensor([0.5, 0.5, 0.0])
    assert divergence(torch.tensor([2, 1, 1]), shares).value == math.inf
    logits = torch.eye(3)[[0, 0, 0, 1]]
    by_hand = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert classes_reverse_kl(logits, shares).value.item() == pytest.approx(by_hand)
    assert classes_found(logits, shares) == 2


def test_reverse_kl_knows_its_spread():
    q = torch.tensor([0.5, 0.3, 0.2])
    counts = [torch.bincount(torch.multinomial(q, 500, replacement=True), minlength=3) for _ in range(200)]
    found = [divergence(count, torch.full((3,), 1 / 3)) for count in counts]
    value, claimed = (torch.stack(of) for of in zip(*found, strict=True))
    assert 0.85 < claimed.mean() / value.std() < 1.15


def test_planted_copies_are_seen_and_fresh_draws_are_not():
    train, held_out = torch.randn(500, 3), torch.randn(300, 3)

    def score(fake: torch.Tensor):
        return copying(torch.cdist(fake, train).amin(1), torch.cdist(held_out, train).amin(1))

    fresh = score(torch.randn(400, 3))
    assert abs(fresh.value - 0.5) < 4 * fresh.standard_error
    assert score(train[:200]).value == 1
    half = torch.cat([train[:200], torch.randn(200, 3)])
    assert score(half).value.item() == pytest.approx(0.75, abs=0.06)
    assert score(torch.randn(400, 3) + 5).value < 0.05
    by_hand = copying(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 3.0, 0.5]))
    assert by_hand.value.item() == pytest.approx((2 / 3 + 1.5 / 3) / 2)  # (1 < 2, 1 < 3), (2 = 2, 2 < 3)


def test_the_spread_of_copying_is_claimed_rightly():
    draws = [copying(torch.rand(80), 1.3 * torch.rand(120)) for _ in range(300)]
    value, claimed = (torch.stack(of) for of in zip(*draws, strict=True))
    assert value.mean().item() == pytest.approx(1 - 0.5 / 1.3, abs=0.01)
    assert 0.85 < claimed.mean() / value.std() < 1.15


def test_path_length_is_the_squared_speed():
    a, b = torch.randn(10, 4, dtype=torch.float64), torch.randn(10, 4, dtype=torch.float64)
    path = torch.stack([a, a + EPSILON * b], 1)
    torch.testing.assert_close(path_length(path), b.square().sum(1), rtol=1e-6, atol=0)
