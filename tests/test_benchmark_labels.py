"""What the benchmark of labels counts, and that its table says it."""

from __future__ import annotations

import json

import pytest
import torch
from benchmarks.labels import matched, table, write


def test_categories_are_matched_one_to_one_so_that_most_items_agree():
    y = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    renamed = torch.tensor([2, 0, 1])[y]
    assert matched(renamed, y, 3, 3) == (1.0, [1, 2, 0])
    # Two classes in one category: only one of them can be its class, and category 2 is left without items.
    share, of = matched(torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1, 1]), y, 3, 3)
    assert share == pytest.approx(0.7)
    assert sorted(of) == [0, 1, 2]
    share, of = matched(torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 3, 3]), y, 4, 3)  # a class in two categories
    assert share == pytest.approx(0.8)
    assert of.count(-1) == 1


def test_results_are_added_to_and_a_seed_again_takes_its_own_place(tmp_path):
    entry = {"recipe": "infogan", "data": "digits", "length": "{}", "steps": 10, "processor": 0.5, "share": 0.95}
    entry |= {"drawn": 0.9, "classifier": 0.99, "machine": "m", "torch": "t", "date": "d"}
    for seed, share in ((0, 0.95), (1, 0.5), (1, 0.6)):
        write(tmp_path, [entry | {"seed": seed, "share": share}])
    assert [e["share"] for e in json.loads((tmp_path / "FIGURES.json").read_text())] == [0.95, 0.6]
    text = (tmp_path / "README.md").read_text()
    assert "| `infogan` | digits | 0, 1 |" in text
    assert "77.5% (60.0% to 95.0%)" in text
    assert "90%: 1 of 2" in text
    assert table([entry | {"seed": 0}]).count("`infogan`") == 1
