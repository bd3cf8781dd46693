"""The catalogue lists what there is, no more and no less, and prints to fit the terminal."""

from __future__ import annotations

import json

import pytest

from lookalike.data import DATASETS
from lookalike.errors import UserError
from lookalike.metrics import METRICS
from lookalike.models.implicit.losses import OBJECTIVES
from lookalike.models.implicit.penalties import PENALTIES
from lookalike.recipe import Recipe, find, recipes
from lookalike.scores.table import SCORES
from lookalike.tasks.catalog import catalog


def test_every_entry_of_every_table_is_listed_once_with_its_line():
    rows = catalog().rows
    names = {kind: [row["name"] for row in rows if row["kind"] == kind] for kind in {row["kind"] for row in rows}}
    assert sorted(names["recipe"]) == sorted(recipes())
    assert names["data"] == list(DATASETS)
    assert names["metric"] == list(METRICS)
    assert names["objective"] + names["penalty"] == [*OBJECTIVES, *PENALTIES]
    assert names["score"] == list(SCORES)
    assert all(row["summary"] and (row["for"] or row["kind"] == "score") for row in rows)
    assert all(row["reference"] and row["family"] for row in rows if row["kind"] == "recipe")


@pytest.mark.parametrize(
    ("what", "kinds"),
    [
        ("recipes", {"recipe"}),
        ("data", {"data"}),
        ("metrics", {"metric"}),
        ("objectives", {"objective", "penalty"}),
        ("scores", {"score"}),
    ],
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


def test_a_recipe_is_shown_whole_and_its_data_make_it_again():
    report = catalog("wgan-gp")
    shown = {row["value"]: row for row in report.rows}
    assert (shown["n_critic"]["images"], shown["penalty_weight"]["points"]) == ("5", "0.1")
    assert shown["betas"]["table"] == "0,0.99"
    for kind, saved in json.loads(json.dumps(report.json()))["by_kind"].items():
        assert Recipe.from_json(saved).to_json() == find("wgan-gp").resolved(kind).to_json()


def test_of_two_recipes_only_what_differs_is_shown():
    report = catalog("wgan", "wgan-gp")
    assert {(row["on"], row["value"]) for row in report.rows} >= {("images", "constraint"), ("table", "optimiser")}
    assert all(row["wgan"] != row["wgan-gp"] for row in report.rows)
    assert not any(row["value"] == "objective" for row in report.rows)
    assert report.json()["differences"]["points"]["penalty"] == ["none", "wgan-gp"]
    assert "do not differ" in str(catalog("r3", "r3"))
    assert {row["value"]: row["realnvp"] for row in catalog("r3", "realnvp").rows}["penalty"] == "-"
    with pytest.raises(UserError, match="nothing to compare"):
        catalog("pixelcnn", "factor-analysis")
