"""The catalogue lists what there is, no more and no less, and prints to fit the terminal."""

from __future__ import annotations

import json

import pytest

from lookalike.data import DATASETS
from lookalike.metrics import METRICS
from lookalike.models.implicit.losses import OBJECTIVES, PENALTIES
from lookalike.recipe import recipes
from lookalike.tasks.catalog import catalog


def test_every_entry_of_every_table_is_listed_once_with_its_line():
    rows = catalog().rows
    names = {kind: [row["name"] for row in rows if row["kind"] == kind] for kind in {row["kind"] for row in rows}}
    assert sorted(names["recipe"]) == sorted(recipes())
    assert names["data"] == list(DATASETS)
    assert names["metric"] == list(METRICS)
    assert names["objective"] + names["penalty"] == [*OBJECTIVES, *PENALTIES]
    assert all(row["summary"] and row["for"] for row in rows)
    assert all(row["reference"] and row["family"] for row in rows if row["kind"] == "recipe")


@pytest.mark.parametrize(
    ("what", "kinds"),
    [("recipes", {"recipe"}), ("data", {"data"}), ("metrics", {"metric"}), ("objectives", {"objective", "penalty"})],
)
def test_a_part_is_that_part_of_all(what, kinds):
    part = catalog(what=what)
    assert list(part.rows) == [row for row in catalog().rows if row["kind"] in kinds]
    assert json.loads(json.dumps(part.json()))["rows"] == list(part.rows)


def test_data_sets_say_what_kind_they_are():
    kinds = {row["name"]: row["for"] for row in catalog(what="data").rows}
    assert (kinds["digits"], kinds["ring8"], kinds["iris"]) == ("images", "points", "table")


def test_a_table_fits_a_terminal_and_loses_no_word(monkeypatch):
    report = catalog(what="recipes")
    monkeypatch.setenv("COLUMNS", "110")
    narrow = str(report)
    assert max(map(len, narrow.splitlines()[1:-1])) <= 110
    monkeypatch.setenv("COLUMNS", "1000")
    assert sorted(narrow.split()) == sorted(str(report).split())
    assert len(str(report).splitlines()) == 3 + len(report.rows)  # title, heads, a line a row, the note
