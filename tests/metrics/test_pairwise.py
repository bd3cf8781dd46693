"""Nearest neighbours by products of few digits are those by differences, whatever the data."""

from __future__ import annotations

import pytest
import torch

from lookalike.metrics import pairwise
from lookalike.metrics.pairwise import Pairs, nearest

CASES = {
    "spread": lambda: torch.randn(200, 50),
    "far from the origin": lambda: torch.randn(200, 50) + 1000,
    "two tight clusters": lambda: torch.randn(200, 50) * 1e-3 + torch.arange(200)[:, None] % 2,
    "few different rows": lambda: torch.randint(2, (200, 17)).float(),
    "one large entry": lambda: torch.randn(200, 50) * torch.tensor([1000.0] + [1.0] * 49),
    "an outlier": lambda: torch.randn(200, 50) * torch.tensor([1.0] * 199 + [1e4])[:, None],
    "two dimensions": lambda: torch.randn(200, 2),
    "doubles": lambda: torch.randn(200, 50, dtype=torch.float64),
}


@pytest.mark.parametrize("short", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("case", CASES)
def test_nearest_neighbours_are_those_by_differences(case, short, monkeypatch):
    monkeypatch.setattr(pairwise, "_short", lambda _: short)
    monkeypatch.setattr(pairwise, "NUMBERS", 70 * 200)
    x = CASES[case]()
    squared = torch.cdist(x.double(), x.double(), compute_mode="donot_use_mm_for_euclid_dist").square()
    reference, which = squared.sort(dim=1, stable=True)
    found, chosen = nearest(x, x, 7)
    torch.testing.assert_close(found, reference[:, :7], rtol=1e-4, atol=1e-9)
    distinct = (reference[:, :8].diff() > 1e-4 * reference[:, 1:8]).all(1)
    assert torch.equal(chosen[distinct], which[distinct, :7])
    assert (found[:, 0] == 0).all(), "each item finds itself"


@pytest.mark.parametrize("short", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("case", CASES)
def test_the_margin_bounds_what_rounding_does(case, short, monkeypatch):
    monkeypatch.setattr(pairwise, "_short", lambda _: short)
    x = CASES[case]()
    pairs = Pairs(x, x)
    if pairs.by_difference:
        return
    for block in pairs.blocks():
        squared = torch.cdist(pairs.a.double(), pairs.b.double(), compute_mode="donot_use_mm_for_euclid_dist").square()
        assert ((block.squared - squared).abs() <= block.margin(squared, squared) + 1e-5 * squared).all()


def test_few_items_and_those_that_are_not_finite():
    x = torch.randn(5, 30)
    x[2, 7] = torch.nan
    squared, which = nearest(x, x, 5)
    assert squared.isinf().sum(1).tolist() == [1, 1, 5, 1, 1]
    assert which[0, 0] == 0
