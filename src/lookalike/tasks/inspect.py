"""What is in data, and what would be done with it, before anything is trained."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data import Data, open_data
from ..recipe import recipes
from ..report import Report
from ..spec import Column
from ._output import output, png, write

LOOKED_AT = 2000
"""Images from which intensities are told; of rows, all are looked at."""

DRAWN = 64


def inspect(data: str, *, out: Path | None = None, overwrite: bool = False, seed: int = 0, **how: Any) -> Report:
    """Look into data: its kind, size, columns or images, splits, and which recipes can take it.

    Example:
        lookalike inspect photos/ --size 64 -o photos.png
        lookalike inspect table.csv --label species

    Arguments:
        data: name or path, as `lookalike train` takes it.
        out: a .png to draw the first images, the points or the columns into.
        overwrite: replace that file where it exists.
        seed: of the split.

    Raises:
        UserError: the data cannot be opened, or the picture cannot be written.
    """
    path = None if out is None else output(out, out, (".png",), overwrite=overwrite)[0]
    opened = open_data(data, seed=seed, **how)
    if path is not None:
        write(path, _picture(opened))
    fitting = [recipe.name for recipe in recipes().values() if opened.spec.kind in recipe.kinds]
    return Report(
        title=str(opened),
        facts={
            "data": opened.name,
            "kind": opened.spec.kind,
            "shape": list(opened.spec.shape),
            "levels": opened.spec.levels,
            "classes": list(opened.spec.classes),
            "splits": {name: len(split) for name, split in opened.splits.items()},
            "fingerprint": opened.fingerprint,
            "recipes": fitting,
        },
        rows=_of_images(opened) if opened.spec.kind == "images" else _of_columns(opened),
        files=[] if path is None else [str(path)],
        notes=[*(f"note: {note}" for note in opened.notes), *_next(data, opened, fitting, seed, how)],
    )


def _of_images(data: Data) -> list[dict[str, str]]:
    C, H, W = data.spec.shape
    x, _ = data.items.thinned(LOOKED_AT).first(LOOKED_AT)
    facts = {
        "size": f"{H}x{W} pixels, {C} channel{'s' * (C > 1)}",
        "intensities": f"{data.spec.levels} levels, mean {x.mean():.3f}, std {x.std():.3f}",
        "at the ends": f"{(x == 0).float().mean():.1%} lowest, {(x == 1).float().mean():.1%} highest",
    }
    if data.train.binarize is not None:
        facts["binarised"] = f"{data.train.binarize}: what a model sees is 0 or 1"
    facts |= _class_counts(data)
    return [{"fact": name, "value": value} for name, value in facts.items()]


def _of_columns(data: Data) -> list[dict[str, Any]]:
    x, _ = data.items.first(len(data.items))
    rows: list[dict[str, Any]] = []
    for column, values in zip(data.spec.columns, x.T, strict=True):
        told, missing = _values(column, values), _gaps(column, values)
        rows.append({"column": column.name, "kind": kind_of(column), "values": told, "missing": missing})
    labels = [
        {"column": name, "kind": "label", "values": counts, "missing": 0}
        for name, counts in _class_counts(data).items()
    ]
    return rows + labels


def kind_of(column: Column) -> str:
    """What a column is, in a word or two."""
    if column.std == 0 or len(column.categories) == 1:
        return "constant"
    if column.categories:
        return "category"
    if column.date_format:
        return "date"
    return "whole number" if column.decimals == 0 else "number"


def _values(column: Column, x: Tensor) -> str:
    """The range of numbers, or the categories by how often they are."""
    from ..data.columns import to_words

    if column.categories:
        counts = x.long().bincount(minlength=len(column.categories))
        order = counts.argsort(descending=True, stable=True).tolist()
        return _counts([(column.categories[k], int(counts[k])) for k in order if column.categories[k]])
    there = x[~x.isnan()]
    ends = torch.stack([there.min(), there.max()]).numpy()
    low, high = [f"{end:.4g}" for end in ends] if column.decimals is None else map(str, to_words(column, ends))
    if column.std == 0:
        return low
    if column.knots:
        return f"{low} to {high}, median {there.median():.4g}, seen by rank"
    spread = "" if column.date_format else f", mean {column.mean:.4g}, std {column.std:.4g}"
    return f"{low} to {high}{spread}"


def _gaps(column: Column, x: Tensor) -> int:
    if "" in column.categories:
        return int((x == column.categories.index("")).sum())
    return int(x.isnan().sum())


def _class_counts(data: Data) -> dict[str, str]:
    y = data.items.y
    if y is None:
        return {}
    counts = y.bincount(minlength=len(data.spec.classes)).tolist()
    return {f"{len(counts)} classes": _counts(list(zip(data.spec.classes, counts, strict=True)))}


def _counts(counted: list[tuple[str, int]], most: int = 6) -> str:
    shown = ", ".join(f"{word} {count}" for word, count in counted[:most])
    return shown + (f", and {len(counted) - most} more" if len(counted) > most else "")


def _next(data: str, opened: Data, fitting: list[str], seed: int, how: dict[str, Any]) -> list[str]:
    """What a model would get, who could take it, and what to type."""
    C = opened.spec.shape[0]
    gets = {
        "images": f"A model gets x in [0, 1], shape {opened.spec.shape}.",
        "points": f"A model gets {C} numbers, standardised by the training split, and gives samples in these units.",
        "table": f"A model gets {C} columns, numbers standardised, categories one-hot, and gives back rows like these.",
    }[opened.spec.kind]
    given = {**how, **({"seed": seed} if seed else {})}
    flags = [f"--{name.replace('_', '-')} {shlex.quote(_told(value))}" for name, value in given.items()]
    recipe = "vae" if "vae" in fitting else fitting[0]
    command = " ".join(["lookalike train", recipe, shlex.quote(str(data)), *flags, f"-o runs/{recipe}"])
    return [gets, f"Recipes for {opened.spec.kind}: {', '.join(fitting)}.", f"Next: {command}"]


def _told(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _picture(data: Data) -> bytes:
    from ..pictures import show

    x, _ = data.train.first(DRAWN if data.spec.kind == "images" else LOOKED_AT)
    return png(show(data.spec, None, x, data.log_density))
