"""One column of a table: what kind it is, its words as numbers, and its numbers as words again.

all words are numbers         number    as it is; NaN where it is missing
all are ISO dates             number    seconds since 1970-01-01, UTC
two whole numbers (0 and 1)   category  a density over two points would have no bound
few words                     category  its index; a gap is a category of its own, ""
one number throughout         number    with std 0: nothing to model, and put back when sampled
one word throughout           category  the only one: nothing to model, likewise
nothing, or many words        none      nothing to learn from: dropped, and said
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..spec import Column
from .delimited import DATE, GAPS, number

if TYPE_CHECKING:
    import pandas as pd

    Series: TypeAlias = pd.Series[Any]

Values: TypeAlias = NDArray[np.float64]
"""A column's values, shape (N,)."""

MOST_CATEGORIES = (64, 512, 50)
"""Different words above which a column is text, not a category: 64, or up to 512 in a table of 50 rows for each."""

MOST_CLASSES = 1000
"""Different labels above which a column is no label."""

LARGEST = 1e100
"""Numbers beyond are refused: their squares, and so a standard deviation, would overflow."""

MOSTLY = 0.9
"""Share of numbers from which the odd word among them is taken for a slip."""

YEARS_1_TO_9999 = (-62_135_596_800_000_000, 253_402_300_799_000_000)
"""Microseconds since 1970 that can be written as a date."""

LONG = 10.0
"""Standard deviations from the mean to the farthest value from which a tail is long: a normal one has 4 to 5."""

ATOM = (0.1, 10)
"""Share of the rows, and rows, from which one value is an atom, on which no density could stand."""

KNOTS = 32
"""Of a column that is seen by rank."""

LEAST_PIECE = 1e-9
"""Share of the whole range that lies between two knots at least."""

NORMAL = NormalDist()

TAKES = "a table takes numbers, words and dates"
SCALARS = (str, int, float, bool, np.generic, decimal.Decimal, datetime.date)


class Reading(NamedTuple):
    """A column as read; `column` is None where there is nothing to learn from, which `note` then says."""

    column: Column | None
    values: Values
    note: str = ""


def read_column(name: str, series: Series, where: str) -> Reading:
    """The kind of a column and its values.

    The mean and std of the column are left to who knows the training split, but for a constant, whose
    mean is its value and whose std is 0.

    Raises:
        UserError: infinity, a word among numbers, or values that are neither numbers, words nor dates.
    """
    import pandas as pd

    plain = _plain(name, series, where)
    gap = plain.isna().to_numpy()
    numbers = _numbers(plain)
    few = plain.nunique() <= _most_categories(len(plain))
    if isinstance(series.dtype, pd.CategoricalDtype) and few and not gap.all():
        return _category(name, _category_words(plain))
    if np.array_equal(np.isnan(numbers), gap):
        different = np.unique(numbers[~gap])
        if len(different) == 2 and (different == different.round()).all():
            return _category(name, [_word(value) for value in numbers])
        return read_numbers(name, numbers, where)
    dates = _dates(plain)
    if np.array_equal(np.isnan(dates), gap):
        decimals, form = _date_format(dates[~gap])
        column = Column(name, decimals=decimals, date_format=form)
        return _reading(column, dates, f"{name!r} is dates, learnt as seconds since 1970")
    return _read_words(name, plain, np.isnan(numbers) & ~gap, where)


def read_numbers(name: str, values: Values, where: str) -> Reading:
    """A column of numbers, NaN where one is missing.

    Raises:
        UserError: infinity.
    """
    bad = np.abs(values) > LARGEST
    if bad.any():
        row = int(bad.argmax())
        raise UserError(f"{where}: column {name!r}, row {row + 1} is {values[row]:g}: correct it, or leave it empty.")
    return _reading(Column(name, decimals=_decimals(values[~np.isnan(values)])), values)


def _reading(column: Column, values: Values, note: str = "") -> Reading:
    """A column of numbers or dates, its gaps, and whether it is empty or a constant."""
    gap, name = np.isnan(values), column.name
    if gap.all():
        return Reading(None, values, f"{name!r} is empty: dropped")
    column = dataclasses.replace(column, missing=bool(gap.any()))
    first = values[~gap][:1]
    if (values[~gap] == first).all():
        column = dataclasses.replace(column, mean=float(first[0]), std=0.0)
        note = f"{name!r} is always {to_words(column, first)[0]}: kept, not modelled"
    return Reading(column, values, _join(note, _lacks(name, gap)))


def read_labels(name: str, series: Series, where: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels as indices, shape (N,), and the names of the classes they index.

    Raises:
        UserError: a label is missing, or there are too many different ones to be classes.
    """
    words = _category_words(_plain(name, series, where))
    if "" in words:
        raise UserError(
            f"{where}: label {name!r} is missing in row {words.index('') + 1}: fill it, or leave the row out."
        )
    if len(set(words)) > min(MOST_CLASSES, len(words) // 2):
        raise UserError(
            f"{where}: label {name!r} has {len(set(words))} different values in {len(words)} rows; "
            "a label names a class of many rows. To learn it as a column, leave out --label."
        )
    reading = _category(name, words)
    assert reading.column is not None
    return reading.values.astype(np.int64), reading.column.categories


STRANGE = -1.0
"""Index of a word that is no category of its column."""


def conform(column: Column, series: Series, where: str, *, strange: bool = False) -> Values:
    """The values of new data for a column that is already known.

    Arguments:
        strange: take a word that is no category as `STRANGE`, and another value of a constant as it is.

    Raises:
        UserError: a word that is no number or no category of the column, a gap where there was none, or
            another value of a constant; `where` and the row are named.
    """

    def refuse(bad: NDArray[np.bool_], why: str) -> None:
        if bad.any():
            row = int(bad.argmax())
            raise UserError(f"{where}, row {row + 1}: {column.name!r} is {_show(plain.iloc[row])}, but {why}.")

    plain = _plain(column.name, series, where)
    gap = plain.isna().to_numpy()
    if column.categories:
        index = {category: float(i) for i, category in enumerate(column.categories)}
        words = _category_words(plain)
        # A file may write 1.0 for what was 1.
        values = np.array([index.get(w, index.get(_word(float(w)) if number(w) else w, np.nan)) for w in words])
        if strange:
            return np.where(np.isnan(values), STRANGE, values)
        refuse(np.isnan(values), f"the model knows only {some(column.categories)}")
        return values
    values = _dates(plain) if column.date_format else _numbers(plain)
    wanted = "a date, such as 2020-12-31" if column.date_format else "a number"
    refuse(np.isnan(values) & ~gap, f"must be {wanted}")
    refuse(np.abs(values) > LARGEST, "must be finite")
    if not column.missing:
        refuse(gap, "the model was trained without gaps there: fill it, or leave the row out")
    if column.std == 0 and not strange:
        refuse((values != column.mean) & ~gap, f"the model was trained where it is always {column.mean:g}")
    return values


def measured(column: Column, values: Values, train: NDArray[np.int64]) -> Column:
    """The column with what its numbers are like in the training rows; in all rows where those alone do not vary."""
    if column.categories or column.missing:
        choice = values[train] if column.categories else np.isnan(values[train])
        counts = np.bincount(choice.astype(np.int64), minlength=len(column.categories) or 2) + 0.5  # none is impossible
        column = dataclasses.replace(column, shares=tuple((counts / counts.sum()).tolist()))
    if column.categories or column.std == 0:
        return column
    there = values[~np.isnan(values)]
    seen = values[train]
    seen = seen[~np.isnan(seen)]
    if len(seen) == 0 or seen.min() == seen.max():
        seen = there
    different, times = np.unique(seen, return_counts=True)
    mean, std = float(seen.mean()), float(seen.std())
    atom = times.max() >= max(ATOM[0] * len(seen), ATOM[1])
    grid = _grid(there, column.decimals) if atom else 0.0
    long = np.abs(different - mean).max() > LONG * std
    knots = _knots(different, times, grid) if long or grid else ()
    origin = float(different[0]) if grid else 0.0
    return dataclasses.replace(column, mean=mean, std=std, grid=grid, origin=origin, knots=knots)


def _knots(values: Values, counts: NDArray[np.int64], grid: float) -> tuple[tuple[float, float], ...]:
    """(x, w) with w = Phi^-1(F(x)), evenly spaced in w from the least value to the largest.

    F is the share of the rows up to x, each value spread evenly over its cell of the grid.
    """
    n = counts.sum()
    if grid:
        x = np.stack([values - grid / 2, values + grid / 2], 1).ravel()
        share = np.stack([counts.cumsum() - counts, counts.cumsum()], 1).ravel() / n
    else:
        x, share = values, (counts.cumsum() - counts / 2) / n
    end = NORMAL.inv_cdf(1 - 0.5 / n)
    w = np.linspace(-end, end, KNOTS)
    at = np.interp([NORMAL.cdf(level) for level in w], share, x)
    at[0], at[-1] = x[0], x[-1]
    kept = [0]
    for i in range(1, KNOTS):  # where one value has no cell, several are at it
        if at[i] - at[kept[-1]] > LEAST_PIECE * (x[-1] - x[0]):
            kept.append(i)
    return tuple((float(at[i]), float(w[i])) for i in kept)


def _grid(values: Values, decimals: int | None) -> float:
    """The largest step of which all differences of the values are multiples; 0 where float64 does not tell."""
    if decimals is None or np.abs(values).max() * 10.0**decimals > 2**53:
        return 0.0
    steps = np.diff(np.unique((values * 10.0**decimals).round().astype(np.int64)))
    return float(np.gcd.reduce(steps)) / 10.0**decimals


def to_words(column: Column, values: Values) -> Series:
    """Values of a column as the user would write them, gaps empty: the inverse of `read_column`."""
    import pandas as pd

    if column.categories:
        index = values.round().clip(0, len(column.categories) - 1).astype(int)
        words = np.array(column.categories, dtype=object)[index]
        return pd.Series(words, name=column.name).mask(words == "", None)
    numbers = pd.Series(values, name=column.name)
    if column.decimals is not None:
        numbers = numbers.round(column.decimals)
    if column.date_format:
        # By whole microseconds: pandas cuts a float of seconds down where it should round.
        ticks = (numbers * 1e6).round().clip(*YEARS_1_TO_9999)
        return pd.to_datetime(ticks.astype("Int64"), unit="us").dt.strftime(column.date_format)
    whole = column.decimals == 0 and (numbers.abs().fillna(0) < 2**53).all()
    return numbers.astype("Int64") if whole else numbers


def _plain(name: str, series: Series, where: str) -> Series:
    """The series as one of three: float64, datetime64 in UTC, or words without space around them; gaps are missing."""
    from pandas.api import types

    series = series.reset_index(drop=True)
    if types.is_complex_dtype(series) or types.is_timedelta64_dtype(series):
        raise UserError(
            f"{where}: column {name!r} is of type {series.dtype}, but a table takes numbers, words and dates."
        )
    if types.is_datetime64_any_dtype(series):
        return series.dt.tz_convert("UTC").dt.tz_localize(None) if series.dt.tz is not None else series
    if types.is_numeric_dtype(series) and not types.is_bool_dtype(series):
        return series.astype("float64")
    series = series.astype(object)
    there = series[series.notna()]
    for row, value in zip(there.index.to_list(), there.to_list(), strict=True):
        if not isinstance(value, SCALARS):
            raise UserError(f"{where}: column {name!r}, row {row + 1} holds a {type(value).__name__}; {TAKES}.")
    words = series.where(series.notna(), "").astype("str").str.strip()
    return words.mask(words.isin(GAPS))


def _numbers(plain: Series) -> Values:
    """NaN where it is missing or no number."""
    import pandas as pd
    from pandas.api import types

    if types.is_datetime64_any_dtype(plain):
        return np.full(len(plain), np.nan)
    if types.is_float_dtype(plain):
        return plain.to_numpy()
    comma = plain.str.fullmatch(r"[+-]?\d+,\d+").fillna(False).astype(bool)
    # "3,14" is a decimal comma; where all have just three digits behind it, it may mean thousands.
    if comma.any() and not plain[comma].str.fullmatch(r"[+-]?\d{1,3},\d{3}").all():
        plain = plain.where(~comma, plain.str.replace(",", "."))
    return pd.to_numeric(plain, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _dates(plain: Series) -> Values:
    """Seconds since 1970; NaN where it is missing or no date as ISO 8601 writes it."""
    import pandas as pd
    from pandas.api import types

    if types.is_float_dtype(plain):
        return np.full(len(plain), np.nan)
    if not types.is_datetime64_any_dtype(plain):
        plain = plain.where(plain.str.match(DATE.pattern).fillna(False).astype(bool))
    times = pd.to_datetime(plain, format="ISO8601", errors="coerce", utc=True).dt.tz_localize(None)
    return (times.to_numpy(dtype="datetime64[us]") - np.datetime64(0, "us")) / np.timedelta64(1, "s")


def _most_categories(rows: int) -> int:
    always, most, rows_each = MOST_CATEGORIES
    return max(always, min(most, rows // rows_each))


def _read_words(name: str, plain: Series, word: NDArray[np.bool_], where: str) -> Reading:
    """A category where the words are few, and an error where a few of them stand among numbers."""
    present, different = int(plain.notna().sum()), plain.nunique()
    if different <= min(_most_categories(present), max(1, present // 2)):
        return _category(name, _category_words(plain))
    if word.sum() < (1 - MOSTLY) * present:
        row = int(word.argmax())
        raise UserError(
            f"{where}: column {name!r} is numbers, but its row {row + 1} is {plain.iloc[row]!r}: "
            "correct it, or leave it empty where the value is missing."
        )
    return Reading(
        None, np.full(len(plain), np.nan), f"{name!r} is text, {different} different words in {present} rows: dropped"
    )


def _category(name: str, words: list[str]) -> Reading:
    categories = tuple(sorted(set(words), key=_order))
    index = {category: float(i) for i, category in enumerate(categories)}
    values = np.array([index[word] for word in words])
    return Reading(Column(name, categories), values, _lacks(name, np.array([word == "" for word in words])))


def _category_words(plain: Series) -> list[str]:
    """The words of a category, "" for a gap; one spelling for a whole number (1, 1.0)."""
    return [_word(value) for value in plain]


def _word(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value != value:  # NaN or NaT
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _order(word: str) -> tuple[bool, float, str]:
    """A gap first, then numbers by their value, then words by the alphabet."""
    return (bool(word) and not number(word), float(word) if word and number(word) else -np.inf, word)


def _decimals(values: Values) -> int | None:
    """The fewest decimals that write all values exactly; None where that takes more than nine."""
    return next((d for d in range(10) if (values.round(d) == values).all()), None)


def _date_format(seconds: Values) -> tuple[int, str]:
    """Decimals of the seconds, and how the dates are written: as days, to the second, or to the microsecond."""
    if (seconds % 86_400 == 0).all():
        return 0, "%Y-%m-%d"
    if (seconds % 1 == 0).all():
        return 0, "%Y-%m-%d %H:%M:%S"
    return 6, "%Y-%m-%d %H:%M:%S.%f"


def _lacks(name: str, gap: NDArray[np.bool_]) -> str:
    return f"{name!r} lacks {gap.sum()} of {len(gap)} values" if gap.any() else ""


def _show(value: Any) -> str:
    return repr(value) if isinstance(value, str) else _word(value) or "missing"


def some(words: Sequence[str], most: int = 8) -> str:
    """The first words, quoted, for a sentence."""
    return ", ".join(repr(word) for word in words[:most]) + (", ..." if len(words) > most else "")


def _join(*notes: str) -> str:
    return "; ".join(filter(None, notes))
