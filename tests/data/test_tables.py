"""A table read and written again is the table; what cannot be learnt is said; what is wrong is refused by place."""

from __future__ import annotations

import io
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.data.embedded_tables import TABLES, open_embedded_table
from lookalike.data.opening import open_data
from lookalike.data.tables import open_rows, open_table, rows_for, to_frame
from lookalike.errors import UserError
from lookalike.nn.doors import Door
from lookalike.spec import Column, Spec

ROWS = 24


def mixed() -> pd.DataFrame:
    """A table with every kind of column there is."""
    i = np.arange(ROWS)
    frame = pd.DataFrame(
        {
            "id": i + 1,
            "size": np.round(np.sin(i) * 3, 2),
            "count": i * i % 11,
            "colour": np.array(["red", "green", "blue"])[i % 3],
            "flag": i % 2,
            "always": 7,
            "nothing": None,
            "day": pd.date_range("2020-02-20", periods=ROWS).strftime("%Y-%m-%d"),
            "note": [f"remark number {k}" for k in i],
            "gap": np.where(i % 5 == 0, np.nan, np.cos(i).round(3)),
        }
    )
    frame.loc[4, "colour"] = None
    return frame


def written(tmp_path: Path, text: str | bytes, name: str = "table.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def lines(separator: str = ",", rows: int = ROWS) -> str:
    """Rows of three columns without a header: two of numbers, one of words."""
    return "".join(separator.join([f"{i}.5", str(i * i % 7), "uv"[i % 2]]) + "\n" for i in range(3, 3 + rows))


def everything(data) -> torch.Tensor:
    return torch.cat([split.first(len(split))[0] for split in data.splits.values()])


def test_every_kind_of_column_is_told_and_what_is_left_out_is_said(tmp_path):
    path = tmp_path / "mixed.csv"
    mixed().to_csv(path, index=False)
    data = open_table(path, name="mixed.csv")
    columns = {column.name: column for column in data.spec.columns}
    assert list(columns) == ["size", "count", "colour", "flag", "always", "day", "gap"]
    assert columns["colour"].categories == ("", "blue", "green", "red")
    assert columns["flag"].categories == ("0", "1")
    assert (columns["size"].decimals, columns["count"].decimals, columns["gap"].decimals) == (2, 0, 3)
    assert columns["gap"].missing
    assert not columns["size"].missing
    assert (columns["always"].mean, columns["always"].std) == (7, 0)
    said = " ".join(data.notes)
    for name in ("id", "nothing", "note", "always", "day", "gap", "colour"):
        assert repr(name) in said
    assert data.spec.kind == "table"
    assert Spec.from_json(data.spec.to_json()) == data.spec


def test_means_and_stds_are_of_the_training_rows_alone():
    x = np.random.default_rng(0).normal(5, 2, (200, 4))
    x[::7, 1] = np.nan
    data = open_rows(x, name="x")
    train = data.train.first(200)[0].numpy()
    np.testing.assert_allclose([c.mean for c in data.spec.columns], np.nanmean(train, 0))
    np.testing.assert_allclose([c.std for c in data.spec.columns], np.nanstd(train, 0))
    assert [c.missing for c in data.spec.columns] == [False, True, False, False]


def test_a_file_read_and_written_is_the_same_file(tmp_path):
    path = tmp_path / "mixed.csv"
    mixed().to_csv(path, index=False)
    data = open_table(path, name="mixed.csv")
    x, _, notes = rows_for(data.spec, path, name="mixed.csv")
    assert "'id', 'nothing', 'note'" in notes[0]
    buffer = io.StringIO()
    to_frame(data.spec, x).to_csv(buffer, index=False)
    kept = pd.read_csv(path)[[column.name for column in data.spec.columns]]
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(buffer.getvalue())), kept)


words = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=6)
kinds_of_column = st.one_of(
    st.integers(0, 6).map(lambda d: st.integers(-(10**9), 10**9).map(lambda k: k / 10**d)),
    st.just(st.floats(-1e6, 1e6)),
    st.just(st.integers(-5, 10**12)),
    st.lists(words, min_size=1, max_size=4).map(st.sampled_from),
    st.just(st.dates().map(str)),
    st.just(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(str)),
    st.just(st.booleans()),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.lists(kinds_of_column, min_size=1, max_size=4), st.integers(0, 3))
def test_rows_written_as_a_table_read_back_as_themselves(data, kinds, gaps):
    """to_frame undoes open_table whatever the columns: read back, it gives the very same rows."""
    frame = pd.DataFrame(
        {f"c{i}": data.draw(st.lists(kind, min_size=12, max_size=12), label=f"c{i}") for i, kind in enumerate(kinds)}
    )
    frame = frame.astype(object)
    for _ in range(gaps):
        frame.iloc[data.draw(st.integers(0, 11)), data.draw(st.integers(0, len(kinds) - 1))] = None
    try:
        opened = open_table(frame, name="frame")
    except UserError:
        return  # nothing that varies, or nothing but text
    x, _, _ = rows_for(opened.spec, frame, name="frame")
    back = to_frame(opened.spec, x)
    torch.testing.assert_close(rows_for(opened.spec, back, name="back")[0], x, rtol=0, atol=0, equal_nan=True)
    text = pd.read_csv(io.StringIO(back.to_csv(index=False)), dtype="str", keep_default_na=False)
    torch.testing.assert_close(rows_for(opened.spec, text, name="text")[0], x, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(everything(opened).nansum(), x.nansum())


def test_through_the_door_of_a_model_and_back_rows_are_the_same():
    """Gaps, categories, dates and constants survive standardising; constants take no room in it."""
    frame = mixed()
    frame.loc[3, "always"] = None  # a constant with a gap
    data = open_table(frame, name="mixed")
    x, _, _ = rows_for(data.spec, frame, name="mixed")
    door = Door(data.spec).double()
    # size 1, count 1, colour 4, flag 2, always' gate 2, day 1, gap 2 + 1
    assert door.shape == (14,)
    h = door.enter(x)
    assert h.isfinite().all()
    torch.testing.assert_close(door.leave(h), x, equal_nan=True)


def test_a_categorical_of_a_frame_is_a_category_whatever_its_words():
    frame = pd.DataFrame({"a": np.arange(20.0) ** 2, "k": pd.Categorical(np.arange(20) % 3)})
    assert open_table(frame, name="t").spec.columns[1].categories == ("0", "1", "2")


def test_labels_leave_the_columns_and_are_sorted_as_a_reader_would():
    frame = pd.DataFrame({"a": np.arange(30.0) ** 2, "digit": [str(k % 11) for k in range(30)]})
    data = open_table(frame, name="t", label="digit")
    assert [column.name for column in data.spec.columns] == ["a"]
    assert data.spec.classes == tuple(str(k) for k in range(11))
    x, y = data.train.first(5)
    assert y.tolist() == [round(float(v) ** 0.5) % 11 for v in x[:, 0]]


def test_parquet_is_read_as_the_csv_is(tmp_path):
    pytest.importorskip("pyarrow")
    frame = mixed()
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.assign(day=pd.to_datetime(frame["day"])).to_parquet(tmp_path / "t.parquet")
    csv, parquet = (open_table(tmp_path / f"t.{suffix}", name="t") for suffix in ("csv", "parquet"))
    assert csv.spec == parquet.spec
    assert csv.fingerprint == parquet.fingerprint


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separator_header_and_encoding_are_found(tmp_path, separator, header, encoding):
    top = separator.join(["a", "b", "c"]) + "\n" if header else ""
    data = open_table(written(tmp_path, (top + lines(separator)).encode(encoding)), name="t")
    assert [column.name for column in data.spec.columns] == (["a", "b", "c"] if header else ["x0", "x1", "x2"])
    assert data.spec.columns[2].categories == ("u", "v")
    assert len(everything(data)) == ROWS


@pytest.mark.parametrize(
    ("top", "row", "names"),
    [
        ("place,2019,2020", "{i},{h},{j}", ["place", "2019", "2020"]),  # a word above numbers
        ("1,day", "{i},2020-01-{d}", ["1", "day"]),  # a word above dates
        (",0,1", "{i},{h},{j}", ["0", "1"]),  # as pandas writes a frame without names
        ("0,1", "{i},{j}", ["x0", "x1"]),  # as whole numbers may begin
        ("5,2020-01-31", "{i},2020-01-{d}", ["x0", "x1"]),
        ("1,u", "{i},v", ["x0", "x1"]),
    ],
)
def test_what_is_a_header_and_what_a_row(tmp_path, top, row, names):
    rows = [row.format(i=i, h=i / 2 + 0.25, j=i * i % 17, d=10 + i) for i in range(20)]
    columns = tuple(names)  # even of one value: asked for by name
    data = open_table(written(tmp_path, "\n".join([top, *rows])), name="t", columns=columns)
    assert [column.name for column in data.spec.columns] == names
    assert len(everything(data)) == 20 + (names[0] == "x0")


def test_decimal_commas_are_read_where_semicolons_separate(tmp_path):
    data = open_table(written(tmp_path, "a;b\n" + "".join(f"{i},25;{i * i}\n" for i in range(20))), name="t")
    assert sorted(everything(data)[:, 0].tolist()) == [i + 0.25 for i in range(20)]


def test_quoted_line_breaks_stay_in_their_value_and_do_not_shift_the_lines_of_errors(tmp_path):
    text = "a,b\n" + "".join(f'{i},"u\nv"\n{i + 1},"w"\n' for i in range(10))
    data = open_table(written(tmp_path, text), name="t")
    assert data.spec.columns[1].categories == ("u\nv", "w")
    with pytest.raises(UserError, match="line 32: 1 values where line 1 has 2"):
        open_table(written(tmp_path, text + "3\n"), name="t")


body = lines()
BAD_FILES = {
    "empty": ("", "is empty"),
    "blank": ("\n\n", "is empty"),
    "header only": ("a,b,c\n", "a header .* but no row"),
    "one row": ("a,b,c\n1,2,u\n", "at least 10 rows in .* are needed, but there is only 1"),
    "short line": (f"a,b,c\n{body}1,2\n", f"line {ROWS + 2}: 2 values where line 1 has 3"),
    "long line": (f"{body}1,2,u,4\n", f"line {ROWS + 1}: 4 values where line 1 has 3"),
    "spaces": (f"a b c\n{lines(' ')}", "as if separated by spaces"),
    "bars": (f"a|b|c\n{lines('|')}", "as if separated by bars"),
    "quoted lines": ("".join(f'"{line}"\n' for line in body.splitlines()), "as if separated by commas"),
    "open quote": (f'a,b,c\n{body}1,2,"u\n', "quote is not closed"),
    "two names alike": (f"a,b,a\n{body}", "2 columns are named 'a'"),
    "latin-1": (b"a,b\n1,caf\xe9\n", "line 2: byte 0xe9 is not UTF-8"),
    "binary": (b"\x89PNG\0\0\0", "not a text file"),
    "infinity": (f"a,b,c\n{body}inf,2,u\n", f"'a', row {ROWS + 1} is inf"),
    "overflow": (f"a,b,c\n{body}1e300,2,u\n", f"'a', row {ROWS + 1} is 1e\\+300"),
    "a word among numbers": (f"a,b,c\n{body}?!,2,u\n", f"'a' is numbers, but its row {ROWS + 1} is '\\?!'"),
    "all constant": ("a,b\n" + "1,2\n" * 20, "nothing to learn: 'a' is always 1"),
    "all text": ("a\n" + "".join(f"remark {i}x\n" for i in range(20)), "nothing to learn"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_in_a_sentence_that_says_where(tmp_path, case):
    text, sentence = BAD_FILES[case]
    with pytest.raises(UserError, match=sentence):
        open_table(written(tmp_path, text), name="table.csv")


def test_a_parquet_file_that_is_not_one_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    for content in (b"", b"a,b\n1,2\n", b"PAR1" + b"\0" * 20 + b"PAR1"):
        with pytest.raises(UserError, match="not a sound Parquet file"):
            open_table(written(tmp_path, content, "t.parquet"), name="t")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([[1, 2]] * ROWS, "'a', row 1 holds a list"),
        ([b"x"] * ROWS, "'a', row 1 holds a bytes"),
        (np.full(ROWS, 1j), "of type complex128"),
        (pd.to_timedelta(np.arange(ROWS), "s"), "of type timedelta64"),
    ],
)
def test_a_column_of_what_no_table_holds_is_refused(values, sentence):
    with pytest.raises(UserError, match=sentence):
        open_table(pd.DataFrame({"a": values}), name="t")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"columns": ("size", "colur")}, "no column named 'colur'. Did you mean 'colour'"),
        ({"label": "coulour"}, "no column named 'coulour'. Did you mean 'colour'"),
        ({"columns": ("colour", "size"), "label": "colour"}, "'colour' is the label"),
        ({"columns": ("note", "size")}, "cannot learn: 'note' is text"),
        ({"label": "note"}, "24 different values in 24 rows"),
        ({"label": "colour"}, "'colour' is missing in row 5"),
        ({"split": (0.5, 0.6, 0.1)}, "split must be"),
    ],
)
def test_a_wrong_option_names_what_is_there(options, sentence):
    with pytest.raises(UserError, match=sentence):
        open_table(mixed(), name="t", **options)


@pytest.mark.parametrize(
    ("array", "y", "sentence"),
    [
        (np.zeros(20), None, "shape \\(20,\\)"),
        (np.zeros((20, 0)), None, "shape \\(20, 0\\)"),
        (np.array([["a", "b"]] * 20), None, "of type <U1"),
        (np.zeros((20, 2), dtype=complex), None, "of type complex"),
        (np.array([[object()]] * 20), None, "of type object"),
        (np.full((20, 2), np.nan), None, "nothing to learn"),
        (np.ones((20, 2)), None, "nothing to learn"),
        (np.arange(6.0).reshape(3, 2), None, "there are only 3"),
        (np.eye(20), np.arange(19), "labels have shape \\(19,\\)"),
        (np.where(np.eye(20) > 0, np.inf, 0), None, "'x0', row 1 is inf"),
    ],
)
def test_a_bad_array_is_refused(array, y, sentence):
    with pytest.raises(UserError, match=sentence):
        open_rows(array, y, name="array")


def test_rows_of_up_to_three_numbers_are_points_and_others_a_table():
    x = np.random.default_rng(0).normal(size=(30, 4))
    assert open_rows(x[:, :3], name="x").spec.kind == "points"
    assert open_rows(x, name="x").spec.kind == "table"
    x[4, 0] = np.nan
    assert open_rows(x[:, :3], name="x").spec.kind == "table"


def test_a_column_that_varies_only_outside_the_training_rows_is_no_constant():
    x = np.random.default_rng(0).normal(size=(30, 2))
    x[:, 1] = 0
    train = open_rows(np.arange(60.0).reshape(30, 2), name="x").test.first(1)[0]
    x[int(train[0, 0]) // 2, 1] = 1
    assert open_rows(x, name="x").spec.columns[1].std > 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: f.drop(columns="count"), "no column named 'count'"),
        (
            lambda f: f.assign(colour="mauve"),
            "new.csv, row 1: 'colour' is 'mauve', but the model knows only '', 'blue'",
        ),
        (lambda f: f.assign(size="big"), "row 1: 'size' is 'big', but must be a number"),
        (lambda f: f.assign(day="Monday"), "row 1: 'day' is 'Monday', but must be a date"),
        (lambda f: f.assign(size=np.nan), "row 1: 'size' is missing, but the model was trained without gaps"),
        (lambda f: f.assign(always=8), "row 1: 'always' is 8, but the model was trained where it is always 7"),
        (lambda f: f.assign(size=np.inf), "row 1: 'size' is inf, but must be finite"),
    ],
)
def test_new_rows_that_a_model_cannot_know_are_refused(change, sentence):
    data = open_table(mixed(), name="mixed")
    with pytest.raises(UserError, match=sentence):
        rows_for(data.spec, change(mixed()), name="new.csv")


def test_new_rows_keep_their_order_and_the_meaning_of_the_model():
    data = open_table(mixed(), name="mixed")
    some = mixed().iloc[[5, 1]][["colour", "size", "count", "flag", "always", "day", "gap"]].assign(flag=["1.0", "0"])
    x, _, notes = rows_for(data.spec, some, name="new")
    assert notes == ()
    frame = to_frame(data.spec, x)
    assert frame["size"].tolist() == mixed()["size"].iloc[[5, 1]].tolist()
    assert frame["flag"].tolist() == ["1", "0"]
    points = open_rows(np.random.default_rng(0).normal(size=(30, 2)), name="p")
    assert rows_for(points.spec, torch.zeros(3, 2), name="new")[0].shape == (3, 2)
    with pytest.raises(UserError, match="has 3 columns, but the model takes 2"):
        rows_for(points.spec, torch.zeros(3, 3), name="new")


@pytest.mark.parametrize("name", TABLES)
def test_tables_inside_scikit_learn_open_with_their_labels(name):
    data = open_embedded_table(name)
    assert len(data.spec.columns) == {"iris": 4, "wine": 13, "breast-cancer": 30, "diabetes": 11}[name]
    assert len(data.spec.classes) == {"iris": 3, "wine": 3, "breast-cancer": 2, "diabetes": 0}[name]
    assert all(note.startswith("long tails or one value") for note in data.notes)


def test_a_long_tail_and_one_value_in_many_rows_are_seen_by_rank_and_saved():
    draw = np.random.default_rng(0)
    counts = np.where(draw.random(2000) < 0.6, 0, np.exp(draw.normal(3, 3, 2000)).round())
    heavy = draw.standard_cauchy(2000)
    data = open_data(pd.DataFrame({"counts": counts, "heavy": heavy, "plain": draw.normal(size=2000), "w": counts * 5}))
    columns = {column.name: column for column in data.spec.columns}
    assert (columns["counts"].grid, columns["w"].grid, columns["heavy"].grid, columns["plain"].grid) == (1, 5, 0, 0)
    assert columns["heavy"].knots
    assert columns["counts"].knots
    assert not columns["plain"].knots
    assert any("by rank: 'counts', 'heavy', 'w'" in note for note in data.notes)
    h = Door(data.spec).enter(data.train.first(1600)[0])
    assert h.abs().max() < 6
    assert (h[:, 1].mean().abs(), (h[:, 1].std() - 1).abs()) < (0.02, 0.02)
    assert Spec.from_json(json.loads(json.dumps(data.spec.to_json()))) == data.spec


def test_a_spec_from_before_knots_still_loads():
    old = Spec("table", (1,), columns=(Column("a", mean=1.0, std=2.0),)).to_json()
    for name in ("grid", "origin", "knots"):
        del old["columns"][0][name]
    assert Spec.from_json(json.loads(json.dumps(old))).columns[0] == Column("a", mean=1.0, std=2.0)
    with pytest.raises(UserError, match="describes no data"):
        Spec.from_json({**old, "columns": [{**old["columns"][0], "knots": [[0.0, 1.0], [0.0, 2.0]]}]})


def test_parts_name_the_rows_of_each_split() -> None:
    x = np.random.default_rng(0).normal(size=(6, 4))
    data = open_rows(
        x, name="x", parts=(torch.tensor([4, 0, 1]), torch.tensor([5]), torch.tensor([], dtype=torch.long))
    )
    assert [len(split) for split in data.splits.values()] == [3, 1, 0]
    np.testing.assert_array_equal(data.train.first(3)[0], x[[4, 0, 1]])
    assert data.spec.columns[0].mean == pytest.approx(x[[4, 0, 1], 0].mean())
