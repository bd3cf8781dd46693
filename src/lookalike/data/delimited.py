"""Delimited text (CSV, TSV and their kin) as a frame of words, and every fault by its line.

What a file leaves unsaid is found: the delimiter (tab, semicolon or comma: the first that cuts all
lines alike), and whether its first line is a header (a word above a column of numbers says so; a
number where there is no such word says it is not). The words are kept as the file has them; what they mean is
the business of `lookalike.data.columns`.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError

if TYPE_CHECKING:
    import pandas as pd

# A tab or a semicolon is seldom part of a value, a comma often is ("3,14"): so it is tried last.
DELIMITERS = ("\t", ";", ",")
NAMES = {"\t": "tabs", ";": "semicolons", ",": "commas"}
HEAD = 100
"""Lines from which the delimiter is told."""

GAPS = frozenset({"", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "?"})
"""Words that stand for a missing value."""

DATE = re.compile(r"\d{4}-\d\d")
"""How a date begins, as ISO 8601 writes it."""


def read_delimited(path: Path) -> pd.DataFrame:
    """The words of a delimited text file, one column each, the index counting rows from 1.

    Returns:
        a frame of text; columns named by the header, or x0, x1, ... where there is none.

    Raises:
        UserError: the file is empty, no text, not UTF-8, ragged, delimited by something else, or
            two columns have one name; the line is named.
    """
    import pandas as pd

    names, below = _named(str(path), io.StringIO(_decode(path), newline=""))
    rows = list(below)
    return pd.DataFrame(rows, columns=names, index=range(1, len(rows) + 1), dtype="str")


def read_pieces(file: Iterable[str], where: str, size: int) -> Iterator[pd.DataFrame]:
    """The same of lines as they come, `size` rows at a time, of which only so many are held.

    Arguments:
        file: lines of text with their ends, as an open file or stdin gives them.
        where: the file, in the words of an error.
    """
    import pandas as pd

    try:
        names, rows = _named(where, file)
        start = 1
        while piece := list(itertools.islice(rows, size)):
            yield pd.DataFrame(piece, columns=names, index=range(start, start + len(piece)), dtype="str")
            start += len(piece)
    except UnicodeDecodeError as error:
        raise UserError(f"{where} is not {error.encoding.upper()} text. Save it as UTF-8.") from None


def _named(where: str, lines: Iterable[str]) -> tuple[list[str], Iterator[list[str]]]:
    """The names of the columns, and the rows below them as they come."""
    lines = iter(lines)
    head = list(itertools.islice(lines, HEAD))
    delimiter = _delimiter("".join(head))
    cut = _cut(where, itertools.chain(head, lines), delimiter)
    first = list(itertools.islice(cut, HEAD))
    if not first:
        raise UserError(f"{where} is empty: it has no line of data.")
    first_line, rows = first[0][0], [row for _, row in first]
    if len(rows[0]) == 1:
        _refuse_other_delimiters(where, rows)
    if _has_header(rows):
        names = [name.strip() for name in rows.pop(0)]
        _refuse_twins(where, names, first_line)
    else:
        names = [f"x{i}" for i in range(len(rows[0]))]
    if not rows:
        raise UserError(f"{where} has a header ({', '.join(names[:5])}) but no row of data below it.")
    return names, itertools.chain(rows, (row for _, row in cut))


def number(word: str) -> bool:
    """Whether a word reads as a number (3, -1.5e-3, inf)."""
    try:
        float(word)
    except ValueError:
        return False
    return "_" not in word  # 1_000 is a number in Python only


def _decode(path: Path) -> str:
    raw = path.read_bytes()
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\0" in raw[:10_000]:
        raise UserError(f"{path} is not a text file: it holds zero bytes. Save the table as CSV in UTF-8.")
    else:
        encoding = "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line, byte = raw.count(b"\n", 0, error.start) + 1, raw[error.start]
        raise UserError(
            f"{path}, line {line}: byte 0x{byte:02x} is not {encoding.removesuffix('-sig').upper()}. Save the file as "
            f"UTF-8; one in Latin-1 becomes so with `iconv -f latin1 -t utf-8 {path.name} > new.csv`."
        ) from None


def _delimiter(text: str) -> str:
    """The first delimiter that cuts all lines of the head alike, else the one that does so most often."""
    agreement = {}
    for delimiter in DELIMITERS:
        widths = _head_widths(text, delimiter)
        width, count = Counter(widths).most_common(1)[0] if widths else (1, 0)
        agreement[delimiter] = count / len(widths) if width > 1 else 0.0
    return max(DELIMITERS, key=lambda delimiter: agreement[delimiter])  # the first of equals


def _head_widths(text: str, delimiter: str) -> list[int]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    widths: list[int] = []
    try:
        for row in rows:
            widths += [len(row)] if row else []
            if len(widths) == HEAD:
                break
    except csv.Error:
        return []
    return widths


def _cut(where: str, lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """All rows that are not blank, each as wide as the first, and the line each begins at."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    width = first_line = 0
    start = 1
    try:
        for row in reader:
            if row and not width:
                width, first_line = len(row), start
            if row and len(row) != width:
                raise UserError(
                    f"{where}, line {start}: {len(row)} values where line {first_line} has {width} "
                    f"(separated by {NAMES[delimiter]}). Give every line as many; put a value that "
                    "contains the separator in double quotes."
                )
            if row:
                yield start, row
            start = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"{where}, line {start}: a double quote is not closed or not doubled ({error}). Inside a quoted value "
            'write a quote as "".'
        ) from None


def _refuse_other_delimiters(where: str, rows: list[list[str]]) -> None:
    """One column whose values are several numbers each was cut by a delimiter that is not known here."""
    values = [row[0] for row in rows[1:HEAD]]
    for other, name in (("|", "bars"), (":", "colons"), (None, "spaces"), (",", "commas"), (";", "semicolons")):
        several = [len(words) > 1 and any(map(number, words)) for words in (value.split(other) for value in values)]
        if values and sum(several) > len(values) / 2:
            raise UserError(
                f"{where} has one column, with values such as {values[0]!r}, as if separated by {name}. "
                "Separate the columns by commas, tabs or semicolons, without quotes around the whole line."
            )


def _has_header(rows: list[list[str]]) -> bool:
    """Whether the first line names the columns: a word above numbers or dates, nothing but words, or a plain count."""
    head = [[cell.strip() for cell in column] for column in zip(*rows[:HEAD], strict=True)]
    below = [[cell for cell in column[1:] if cell not in GAPS] for column in head]
    word = [column[0] not in GAPS and not _typed(column[0]) for column in head]
    if any(w and cells and all(map(_typed, cells)) for w, cells in zip(word, below, strict=True)):
        return True
    if all(w or not column[0] for w, column in zip(word, head, strict=True)):
        return True
    # 0,1,2,... above numbers that are not all whole is how a frame without names is written.
    counted = [(column[0], cells) for column, cells in zip(head, below, strict=True) if number(column[0])]
    counts = len(counted) > 1 and [name for name, _ in counted] == [str(i) for i in range(len(counted))]
    return counts and any(number(cell) and not float(cell).is_integer() for _, cells in counted for cell in cells)


def _typed(cell: str) -> bool:
    """Whether a cell is a value rather than a name: a number or a date."""
    return number(cell) or DATE.match(cell) is not None


def _refuse_twins(where: str, names: list[str], line: int) -> None:
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        which = f"are named {name!r}" if name else "have no name"
        raise UserError(f"{where}, line {line}: {count} columns {which}. Give each column a name of its own.")
