from __future__ import annotations

import pytest
import torch
from prdc import compute_prdc

from lookalike.errors import UserError
from lookalike.metrics import neighbours
from lookalike.metrics.neighbours import coverage, density, precision, recall

ALL = {"precision": precision, "recall": recall, "density": density, "coverage": coverage}


@pytest.mark.parametrize("k", [1, 5])
def test_all_four_equal_the_reference(k):
    real, fake = torch.randn(120, 3), 0.7 * torch.randn(90, 3) + 0.5
    reference = compute_prdc(real.double().numpy(), fake.double().numpy(), k)
    for name, metric in ALL.items():
        assert metric(real, fake, neighbours=k).mean().item() == pytest.approx(reference[name]), name


def test_chunks_change_nothing(monkeypatch):
    real, fake = torch.randn(50, 3), torch.randn(40, 3)
    whole = {name: metric(real, fake) for name, metric in ALL.items()}
    in_parts = lambda a, b: (torch.cdist(rows.double(), b.double()) for rows in a.split(7))  # noqa: E731
    monkeypatch.setattr(neighbours, "_distances", in_parts)
    for name, metric in ALL.items():
        torch.testing.assert_close(metric(real, fake), whole[name])


def test_a_copy_of_the_data_is_perfect_even_where_rows_repeat():
    rows = torch.randint(3, (100, 2)).double()  # at most nine different rows: every ball has radius 0
    assert precision(rows, rows).mean() == 1
    assert recall(rows, rows).mean() == 1
    assert coverage(rows, rows).mean() == 1


def test_a_dropped_mode_lowers_recall_and_coverage_only():
    centres = torch.tensor([[0.0, 0.0], [20.0, 0.0]])
    real = centres.repeat(100, 1) + torch.randn(200, 2)
    fake = centres[0] + torch.randn(200, 2)
    assert precision(real, fake).mean() > 0.9
    assert recall(real, fake).mean() < 0.55
    assert coverage(real, fake).mean() < 0.55


def test_equal_distributions_have_density_one_and_the_expected_coverage():
    draws = [(torch.randn(300, 2), torch.randn(300, 2)) for _ in range(20)]
    dense, covered = (torch.stack([metric(*pair).mean() for pair in draws]).mean() for metric in (density, coverage))
    assert dense == pytest.approx(1, abs=0.05)
    # Naeem et al. (2020): a ball is empty if the nearest 5 of real items and fakes together are all real.
    assert covered == pytest.approx(1 - 2**-5, abs=0.02)


@pytest.mark.parametrize("metric", ALL.values(), ids=list(ALL))
def test_too_few_items_name_the_minimum(metric):
    with pytest.raises(UserError, match="at least 6 items of each, but got 5 real and 9 fake"):
        metric(torch.randn(5, 2), torch.randn(9, 2))
