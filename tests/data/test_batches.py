"""Batches are a function of (seed, step); coins have the odds of the intensities."""

from __future__ import annotations

import itertools

import pytest
import torch

from lookalike.data.base import InMemory, Split, hash_seed, sixteen_bits


def split(n: int = 37) -> Split:
    return Split(InMemory(torch.arange(n, dtype=torch.float64)[:, None]))


def taken(batches, n: int) -> list[list[float]]:
    return [x[:, 0].tolist() for x, _ in itertools.islice(batches, n)]


def test_an_epoch_holds_each_item_once_and_the_next_is_in_another_order():
    steps = taken(split(36).batches(6, seed=1), 12)
    first, second = (list(itertools.chain(*part)) for part in (steps[:6], steps[6:]))
    assert sorted(first) == sorted(second) == list(range(36))
    assert first != second


@pytest.mark.parametrize("start", [1, 5, 6, 13])
def test_batches_can_be_taken_up_at_any_step(start):
    assert taken(split().batches(6, seed=1, start=start), 10) == taken(split().batches(6, seed=1), 10 + start)[start:]


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_one_batch(world):
    whole = taken(split().batches(6, seed=1), 5)
    parts = [taken(split().batches(6, seed=1, rank=rank, world=world), 5) for rank in range(world)]
    assert [list(itertools.chain(*step)) for step in zip(*parts, strict=True)] == whole


def test_a_split_smaller_than_a_batch_fills_it():
    (batch,) = taken(split(4).batches(10, seed=0), 1)
    assert len(batch) == 10
    assert set(batch) == {0, 1, 2, 3}


def test_coins_have_the_odds_of_the_intensities():
    levels = torch.tensor([0, 1, 85, 128, 254, 255], dtype=torch.uint8)
    x = Split(InMemory(levels.expand(20_000, 1, 1, 6)), levels=256, binarize="dynamic").first(20_000, seed=3)[0]
    share, p = x.mean((0, 1, 2)), levels / 255
    assert share[0] == 0
    assert share[-1] == 1
    error = (p * (1 - p) / 20_000).sqrt()
    assert ((share - p).abs() <= 4 * error).all()


def test_coins_are_independent_of_each_other():
    u = sixteen_bits(torch.Size((4, 50_000)), seed=0).double()
    assert u.min() < -32_000
    assert u.max() > 32_000
    correlation = torch.corrcoef(u) - torch.eye(4)
    neighbours = torch.corrcoef(torch.stack([u[0, :-1], u[0, 1:]]))[0, 1]
    assert correlation.abs().max() < 4 / 50_000**0.5
    assert neighbours.abs() < 4 / 50_000**0.5


def test_seeds_of_different_parts_differ():
    assert len({hash_seed(*parts) for parts in [(0, 1), (1, 0), (0, 1, 0), ("split", 1), (0,)]}) == 5


def test_a_thinned_split_is_spread_over_sorted_data():
    y = torch.arange(1000) // 100
    few = Split(InMemory(torch.arange(1000, dtype=torch.float64)[:, None]), y).thinned(50)
    assert torch.bincount(few.y).tolist() == [5] * 10
    x, labels = few.first(50)
    assert torch.equal(x[:, 0].long() // 100, labels)
    assert few.thinned(50) is few
