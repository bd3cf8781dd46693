"""Small tables that come inside scikit-learn, under names of their own; nothing is downloaded."""

from __future__ import annotations

from typing import NamedTuple

from .base import Data
from .tables import open_table


class Table(NamedTuple):
    """An entry of the table: one line for the catalogue, scikit-learn's loader, and the column that is a label."""

    summary: str
    loader: str
    label: str | None = None
    options: dict[str, bool] = {}


TABLES: dict[str, Table] = {
    "iris": Table("150 irises of 3 species: 4 lengths and widths in cm", "load_iris", "species"),
    "wine": Table("178 wines of 3 growers: 13 chemical measures", "load_wine", "grower"),
    "breast-cancer": Table("569 tumours, benign or malignant: 30 measures of nuclei", "load_breast_cancer", "kind"),
    "diabetes": Table(
        "442 patients: 10 measures, sex a category, and how the disease went on a year later",
        "load_diabetes",
        options={"scaled": False},
    ),
}


def open_embedded_table(
    name: str,
    *,
    columns: tuple[str, ...] | None = None,
    label: str | None = None,
    split: tuple[float, ...] | None = None,
    seed: int = 0,
) -> Data:
    """The table of that name in `TABLES`, its options as those of `open_table`.

    Arguments:
        label: None for the table's own label, where it has one.
    """
    from sklearn import datasets

    entry = TABLES[name]
    loaded = getattr(datasets, entry.loader)(as_frame=True, **entry.options)
    frame = loaded.frame
    if entry.label is not None:
        frame = frame.rename(columns={"target": entry.label})
        frame[entry.label] = frame[entry.label].map(dict(enumerate(map(str, loaded.target_names))))
    return open_table(frame, name=name, columns=columns, label=label or entry.label, split=split, seed=seed)
