"""Tables: rows of numbers, categories and gaps, from a file, a frame or an array, and back.

A row is one float64 a column, NaN where a number is missing, a category as its index; `to_frame` gives
rows back in the user's own words, so that samples are a table like the one that was learnt from.
`lookalike.data.columns` decides what each column is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UserError, missing_extra, nearest
from ..spec import Column, Kind, Spec
from .base import Data, InMemory, Split, fingerprint
from .columns import Reading, conform, measured, read_column, read_labels, read_numbers, some, to_words
from .delimited import read_delimited
from .splits import FRACTIONS, split_indices

if TYPE_CHECKING:
    import pandas as pd

Parts: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""Indices of the train, valid and test rows, int64."""

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".pq")
"""Of the files `open_table` reads."""

MOST_POINT_DIMS = 3
"""Columns up to which rows of numbers are points: few enough to draw."""


def open_table(
    source: Path | pd.DataFrame,
    *,
    name: str,
    columns: tuple[str, ...] | None = None,
    label: str | None = None,
    split: tuple[float, ...] | None = None,
    seed: int = 0,
    parts: Parts | None = None,
    window: int | None = None,
) -> Data:
    """A table of mixed columns, ready to learn from.

    Arguments:
        source: a CSV, TSV or Parquet file, or a frame.
        columns: the ones to learn; None for all that can be learnt.
        label: the column that holds the class y of each row; it is not part of x.
        split: fractions of train, valid and test.
        parts: in place of a split, which rows are train, valid and test; the last two may be empty.
        window: so many rows that follow each other are one item; splits are then stretches of time, none of which
            shares a row with another.

    Returns:
        x float64, shape (N, columns); kind "points" for up to 3 columns of numbers without gaps.

    Raises:
        UserError: the file is no table, a name is no column of it, a value makes no sense, or nothing
            in it varies.
    """
    frame = frame_of(source)
    if label is not None and label in (columns or ()):
        raise UserError(f"{name}: {label!r} is the label, so it cannot be one of the columns to learn.")
    if window is not None:
        frame = _series(frame, name, columns, label, window)
        columns, parts = None, _stretches(len(frame), window, split, name)
    y, classes = (None, ()) if label is None else read_labels(label, frame[_known(frame, label, name)], name)
    chosen = [c for c in frame.columns if c != label] if columns is None else [_known(frame, c, name) for c in columns]
    readings = [read_column(column, frame[column], name) for column in chosen]
    if columns is None:
        readings = [_without_row_numbers(reading) for reading in readings]
    else:
        for reading in readings:
            if reading.column is None:
                raise UserError(f"{name} has a column that a model cannot learn: {reading.note}.")
    return _assemble(readings, y, classes, name=name, split=split, seed=seed, parts=parts)


def windows(frame: pd.DataFrame, n: int) -> pd.DataFrame:
    """Rows i ... i + n - 1 as one, for each i: the columns a[0], b[0], ..., a[n - 1], b[n - 1]."""
    import pandas as pd

    shifted = [frame.shift(-k).add_suffix(f"[{k}]") for k in range(n)]
    return pd.concat(shifted, axis=1).iloc[: len(frame) - n + 1]


def _series(
    frame: pd.DataFrame, name: str, columns: tuple[str, ...] | None, label: str | None, window: int
) -> pd.DataFrame:
    """Windows of a series; columns that only rise, as times do, are left out."""
    if label is not None:
        raise UserError(f"{name}: windows of several rows have no one label; leave out --label or --window.")
    chosen = [_known(frame, column, name) for column in columns or frame.columns]
    readings = {column: read_column(column, frame[column], name) for column in chosen}
    kept = [c for c, (column, values, _) in readings.items() if column is not None and not (np.diff(values) > 0).all()]
    if not kept:
        raise UserError(f"{name} has no column to see through a window: {', '.join(chosen)} only rise, or are text.")
    return windows(frame[kept], window)


def _stretches(n: int, window: int, split: tuple[float, ...] | None, name: str) -> Parts:
    """Train, valid and test as stretches of n windows, in that order, less those that reach into the next."""
    shares = split or FRACTIONS
    ends = [round(sum(shares[:i]) / sum(shares) * n) for i in range(4)]
    if min(b - a for a, b in pairwise(ends)) <= window:
        raise UserError(f"{name} has {n + window - 1} rows: too few for windows of {window}, a tenth of them held out.")
    train, valid, test = (torch.arange(a, b - (window - 1) * (b < n)) for a, b in pairwise(ends))
    return train, valid, test


def open_rows(
    array: Any,
    y: Any = None,
    *,
    name: str,
    names: Sequence[str] | None = None,
    split: tuple[float, ...] | None = None,
    seed: int = 0,
    parts: Parts | None = None,
) -> Data:
    """Rows of numbers, ready to learn from.

    Arguments:
        array: shape (N, D), any real type; NaN where a number is missing.
        y: labels, shape (N,), numbers or words.
        names: of the columns; x0, x1, ... without.
        split: fractions of train, valid and test.
        parts: as `open_table`.

    Returns:
        as `open_table`.

    Raises:
        UserError: another shape or type, labels of another length, infinity, or nothing varies.
    """
    rows = _real(array, name)
    names = [f"x{i}" for i in range(rows.shape[1])] if names is None else names
    readings = [read_numbers(column, values, name) for column, values in zip(names, rows.T, strict=True)]
    labels, classes = (None, ()) if y is None else _array_labels(y, len(rows), name)
    return _assemble(readings, labels, classes, name=name, split=split, seed=seed, parts=parts)


def rows_for(
    spec: Spec,
    source: Path | pd.DataFrame | Any,
    *,
    name: str,
    label: str | None = None,
    labels: Any = None,
    strange: bool = False,
) -> tuple[Tensor, Tensor | None, tuple[str, ...]]:
    """New data as rows that a trained model takes.

    Arguments:
        spec: of the data the model was trained on.
        source: a file or frame, whose columns are found by name; or an array, in the order of `spec`.
        label: the column that holds the class of each row.
        labels: of an array, shape (N,), numbers or words.
        strange: take words and constants that the model never saw, for a score to find odd: `columns.conform`.

    Returns:
        x float64, shape (N, columns), all rows in their order; y int64, shape (N,), or None where no labels are
        given or the model knows no classes; and what was left out, a sentence each.

    Raises:
        UserError: a column is missing, or a value or class is none that the model could have seen.
    """
    import pandas as pd

    known = [column.name for column in spec.columns]
    if not isinstance(source, Path | pd.DataFrame):
        rows = _real(source, name)
        if rows.shape[1] != len(known):
            raise UserError(f"{name} has {rows.shape[1]} columns, but the model takes {len(known)}: {some(known)}.")
        source = pd.DataFrame(rows, columns=known)
    frame = frame_of(source)
    extra = [column for column in frame.columns if column not in known and column != label]
    found = [conform(c, frame[_known(frame, c.name, name)], name, strange=strange) for c in spec.columns]
    notes: tuple[str, ...] = (f"left out {some(extra)}, which the model does not know",) if extra else ()
    if label is not None:
        labels = frame[_known(frame, label, name)]
    elif labels is not None:
        labels = pd.Series(_one_a_row(labels, len(frame), name))
    y = None
    if labels is not None and spec.classes:
        y = torch.from_numpy(conform(Column(label or "y", spec.classes), labels, name)).long()
    elif labels is not None:
        notes += ("left out the labels, of which the model knows none",)
    return torch.from_numpy(np.stack(found, axis=1)), y, notes


def to_frame(spec: Spec, x: Tensor) -> pd.DataFrame:
    """Rows in the user's own words: names of categories, dates, as many decimals as the data had, gaps empty.

    Arguments:
        x: rows in the user's units, shape (N, columns), as a model samples them.
    """
    import pandas as pd

    rows = x.detach().cpu().double().numpy()
    return pd.concat([to_words(column, values) for column, values in zip(spec.columns, rows.T, strict=True)], axis=1)


def frame_of(source: Path | pd.DataFrame) -> pd.DataFrame:
    """The table as a frame with text for names, each its own."""
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        frame = source.set_axis([str(column) for column in source.columns], axis=1)
    elif source.suffix.lower() in (".parquet", ".pq"):
        frame = _read_parquet(source)
    else:
        frame = read_delimited(source)
    if not frame.columns.is_unique:
        twin = frame.columns[frame.columns.duplicated()][0]
        raise UserError(f"two columns are named {twin!r}. Give each column a name of its own.")
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        import pyarrow
    except ImportError:
        raise missing_extra("pyarrow", "parquet", f"reading {path}") from None
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path} is not a sound Parquet file ({str(error).splitlines()[0]}). Write it anew.") from None


def _real(array: Any, name: str) -> NDArray[np.float64]:
    """An array of numbers, float64, shape (N, D)."""
    rows = np.asarray(array.detach().cpu() if isinstance(array, Tensor) else array)
    if rows.dtype.kind not in "biuf":
        raise UserError(f"{name} is of type {rows.dtype}, but rows must be real numbers; pass a DataFrame for words.")
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise UserError(f"{name} has shape {rows.shape}, but rows must have shape (rows, columns).")
    return rows.astype(np.float64)


def _array_labels(y: Any, n: int, name: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    import pandas as pd

    return read_labels("y", pd.Series(_one_a_row(y, n, name)), name)


def _one_a_row(y: Any, n: int, name: str) -> NDArray[Any]:
    """Labels of n rows as an array, shape (n,)."""
    labels = np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y)
    if labels.shape != (n,):
        raise UserError(f"{name} has {n} rows, but its labels have shape {labels.shape}; give one label a row.")
    return labels


def _known(frame: pd.DataFrame, column: str, name: str) -> str:
    if column not in frame.columns:
        near = nearest(column, frame.columns)
        raise UserError(f"{name} has no column named {column!r}.{near} It has {some(list(frame.columns))}.")
    return column


def _without_row_numbers(reading: Reading) -> Reading:
    """A column that only counts the rows, from 0 or 1, says nothing of them."""
    column, values, _ = reading
    if column is None or len(values) < 2 or values[0] not in (0, 1) or (np.diff(values) != 1).any():
        return reading
    return Reading(None, values, f"{column.name!r} numbers the rows: dropped")


def _assemble(
    readings: Sequence[Reading],
    y: NDArray[np.int64] | None,
    classes: tuple[str, ...],
    *,
    name: str,
    split: tuple[float, ...] | None,
    seed: int,
    parts: Parts | None,
) -> Data:
    """Columns as read, cut in three, with the means and stds of the training split."""
    if not readings:
        raise UserError(f"{name} has no columns.")
    indices = parts or split_indices(len(readings[0].values), split, seed, f"rows in {name}")
    notes = tuple(reading.note for reading in readings if reading.note)
    kept = [(reading.column, reading.values) for reading in readings if reading.column is not None]
    if all(column.std == 0 or len(column.categories) == 1 for column, _ in kept):
        raise UserError(f"{name} has nothing to learn: {'; '.join(notes) or 'no column varies'}.")
    x = torch.from_numpy(np.stack([values for _, values in kept], axis=1))
    labels = None if y is None else torch.from_numpy(y)
    columns = tuple(measured(column, values, indices[0].numpy()) for column, values in kept)
    if bent := [column.name for column in columns if column.knots]:
        notes += (f"long tails or one value in many rows, so a model sees them by rank: {some(bent)}",)
    numbers = all(not (column.categories or column.missing or column.std == 0) for column in columns)
    train, valid, test = (Split(InMemory(x[i]), None if labels is None else labels[i]) for i in indices)
    kind: Kind = "points" if numbers and len(columns) <= MOST_POINT_DIMS else "table"
    return Data(
        name=name,
        spec=Spec(kind, (len(columns),), classes=classes, columns=columns),
        train=train,
        valid=valid,
        test=test,
        notes=notes,
        fingerprint=fingerprint(train, valid, test),
        order=torch.cat(indices),
    )
