from __future__ import annotations

import pytest
import torch
from prdc import compute_prdc

from lookalike.errors import UserError
from lookalike.metrics import pairwise
from lookalike.metrics.neighbours import PRDC, prdc


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("D", [3, 40])
def test_all_four_equal_the_reference(k, D):
    real, fake = torch.randn(120, D), 0.7 * torch.randn(90, D) + 0.5 * D**-0.5
    reference = compute_prdc(real.double().numpy(), fake.double().numpy(), k)
    for name, values in prdc(real, fake, neighbours=k)._asdict().items():
        assert values.mean().item() == pytest.approx(reference[name]), name


def test_chunks_change_nothing(monkeypatch):
    real, fake = torch.randn(50, 30), torch.randn(40, 30)
    whole = prdc(real, fake)
    monkeypatch.setattr(pairwise, "NUMBERS", 7 * 50)
    for values, expected in zip(prdc(real, fake), whole, strict=True):
        torch.testing.assert_close(values, expected)


@pytest.mark.parametrize("D", [2, 40])
def test_a_copy_of_the_data_is_perfect_even_where_rows_repeat(D):
    rows = torch.randint(3, (100, 2)).float().repeat(1, D // 2)  # at most nine different rows: every ball has radius 0
    of = prdc(rows, rows)
    assert (of.precision.mean(), of.recall.mean(), of.coverage.mean()) == (1, 1, 1)


def test_what_is_not_finite_is_near_to_nothing():
    real, fake = torch.randn(40, 20), torch.randn(30, 20)
    fake[3, 3], real[5, 2] = torch.nan, torch.inf
    of = prdc(real, fake)
    assert (of.precision[3], of.density[3], of.recall[5], of.coverage[5]) == (0, 0, 0, 0)
    reference = compute_prdc(real[torch.arange(40) != 5].numpy(), fake[torch.arange(30) != 3].numpy(), 5)
    assert of.precision.sum().item() == pytest.approx(29 * reference["precision"])
    assert of.coverage.sum().item() == pytest.approx(39 * reference["coverage"])


def test_a_dropped_mode_lowers_recall_and_coverage_only():
    centres = torch.tensor([[0.0, 0.0], [20.0, 0.0]])
    real = centres.repeat(100, 1) + torch.randn(200, 2)
    fake = centres[0] + torch.randn(200, 2)
    of = prdc(real, fake)
    assert of.precision.mean() > 0.9
    assert of.recall.mean() < 0.55
    assert of.coverage.mean() < 0.55


def test_equal_distributions_have_density_one_and_the_expected_coverage():
    draws = [prdc(torch.randn(300, 2), torch.randn(300, 2)) for _ in range(20)]
    dense, covered = (torch.stack([getattr(of, name).mean() for of in draws]).mean() for name in PRDC._fields[2:])
    assert dense == pytest.approx(1, abs=0.05)
    # Naeem et al. (2020): a ball is empty if the nearest 5 of real items and fakes together are all real.
    assert covered == pytest.approx(1 - 2**-5, abs=0.02)


def test_too_few_items_name_the_minimum():
    with pytest.raises(UserError, match="at least 6 items of each, but got 5 real and 9 fake"):
        prdc(torch.randn(5, 2), torch.randn(9, 2))
