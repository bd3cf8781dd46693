"""What is said of data is what is in it, and the command it gives is one that can be typed."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lookalike.errors import UserError
from lookalike.recipe import recipes
from lookalike.tasks.inspect import inspect


@pytest.fixture
def table(tmp_path):
    i = np.arange(40)
    frame = pd.DataFrame(
        {
            "size": np.where(i % 8 == 0, np.nan, (i - 20) / 4),
            "count": i * 3 % 17,
            "colour": np.array(["red", "green", "red"])[i % 3],
            "always": 2.5,
            "day": pd.date_range("2021-01-01", periods=40).strftime("%Y-%m-%d"),
            "species": np.array(["cat", "dog"])[i % 2],
        }
    )
    path = tmp_path / "my table.csv"
    frame.to_csv(path, index=False)
    return path


def test_a_table_is_told_column_by_column(table):
    report = inspect(str(table), label="species")
    told = {row["column"]: (row["kind"], row["values"], row["missing"]) for row in report.rows}
    assert told["size"][0] == "number"
    assert told["size"][1].startswith("-4.75 to 4.75, mean ")
    assert told["size"][2] == 5
    assert told["count"][:1] == ("whole number",)
    assert told["count"][1].startswith("0 to 16, ")
    assert told["colour"] == ("category", "red 27, green 13", 0)
    assert told["always"] == ("constant", "2.5", 0)
    assert told["day"] == ("date", "2021-01-01 to 2021-02-09", 0)
    assert told["2 classes"] == ("label", "cat 20, dog 20", 0)
    assert any("'size' lacks 5 of 40 values" in note for note in report.notes)
    assert report.facts["splits"] == {"train": 32, "valid": 4, "test": 4}
    assert report.facts["classes"] == ["cat", "dog"]
    json.dumps(report.json())


def test_the_recipes_named_are_those_that_take_the_kind(table):
    assert inspect(str(table)).facts["recipes"] == [name for name, r in recipes().items() if "table" in r.kinds]
    assert inspect("moons").facts["recipes"] == [name for name, r in recipes().items() if "points" in r.kinds]


def test_the_command_to_type_next_keeps_the_options_and_survives_the_shell(table):
    report = inspect(str(table), columns=("size", "count"), label="species", seed=4)
    command = next(note for note in report.notes if note.startswith("Next: "))
    words = shlex.split(command.removeprefix("Next: "))
    assert words[:2] == ["lookalike", "train"]
    assert words[2] in recipes()
    assert words[3] == str(table)
    assert words[4:10] == ["--columns", "size,count", "--label", "species", "--seed", "4"]


def test_images_are_told_by_size_levels_and_classes(tmp_path):
    report = inspect("digits", out=tmp_path / "digits.png")
    told = {row["fact"]: row["value"] for row in report.rows}
    assert told["size"] == "8x8 pixels, 1 channel"
    assert told["intensities"].startswith("17 levels, mean 0.3")
    assert told["10 classes"].startswith("0 178, 1 182, ")
    assert Image.open(tmp_path / "digits.png").width > 64
    assert report.files == [str(tmp_path / "digits.png")]


def test_a_picture_that_exists_is_not_written_over_unless_told_to(tmp_path):
    out = tmp_path / "moons.png"
    out.write_bytes(b"mine")
    with pytest.raises(UserError, match="exists"):
        inspect("moons", out=out)
    assert out.read_bytes() == b"mine"
    inspect("moons", out=out, overwrite=True)
    assert Image.open(out).size > (100, 100)


def test_data_that_is_not_there_is_refused():
    with pytest.raises(UserError, match="Did you mean 'moons'"):
        inspect("monos")
