"""Anyone's data by one door: a name, a path or an array to `Data`.

A new named data set is one function and one entry of a table: `PICTURES` here, `POINTS` in points.py or
`TABLES` in embedded_tables.py; `DATASETS` has them all.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch

from ..errors import UserError, nearest
from ..options import Range, check
from ..spec import Spec
from . import downloaded, embedded, tables
from .arrays import Told, idx_labels, is_idx, read_idx, read_npy, read_npz
from .base import Data, InMemory, Split, fingerprint
from .decoding import SUFFIXES
from .download import Progress
from .embedded_tables import TABLES, open_embedded_table
from .files import ARCHIVES, open_files
from .imagefiles import file_pictures
from .images import Pictures, array_pictures, fitted, split_pictures, with_classes, with_levels
from .points import POINTS, open_points
from .splits import split_or_all

SPLITTING = ("split", "seed")
OF_PICTURES = ("size", "channels", "binarize", *SPLITTING)
OF_TABLES = ("columns", "label", "window", *SPLITTING)


class Dataset(NamedTuple):
    """Data that can be opened.

    Arguments:
        summary: one line for the catalogue, or for an error what it is.
        takes: options of `open_data` that mean something for it.
        open: with those options by name and `like`, the spec that it has to fit, or None.
    """

    summary: str
    takes: tuple[str, ...]
    open: Callable[..., Data]


def open_data(
    spec: str | Any,
    *,
    size: Annotated[int | tuple[int, ...] | None, Range(4, 1024)] = None,
    channels: Annotated[int | None, Range(1, 3)] = None,
    binarize: Literal["dynamic", "threshold", "fixed-seed"] | None = None,
    columns: tuple[str, ...] | None = None,
    label: str | None = None,
    window: Annotated[int | None, Range(2, 10_000)] = None,
    split: Annotated[tuple[float, ...] | None, Range(0, 1)] = None,
    seed: int = 0,
    like: Spec | None = None,
    progress: Progress | None = None,
) -> Data:
    """Opens data: what it is, its size, channels, levels, classes and columns are found, and notes say what was done.

    A name of `DATASETS` wins over a file or folder of that name in the current folder, which is said;
    `./name` is always the latter.

    Example:
        open_data("digits"), open_data("photos/", size=32), open_data(x), open_data((x, y))

    Arguments:
        spec: a name; a folder or archive of pictures; a CSV, TSV, Parquet, IDX, .npy or .npz file; a
            frame; or an array, (N, H, W), (N, C, H, W) or (N, H, W, C) for pictures, (N, D) for rows; or an
            array and its labels.
        size: pixels of a side, or height,width, to resize pictures to.
        channels: 1 to turn pictures to grey, 3 for RGB.
        binarize: make pictures black and white: dynamic draws each pixel anew each time, fixed-seed once and for
            all, threshold cuts at half.
        columns: of a table, the ones to learn.
        label: the column that holds the class; of pictures, in their metadata.csv.
        window: of a table whose rows follow each other in time, how many of them are one item.
        split: fractions of train, valid and test; by default 0.8,0.1,0.1.
        seed: of the split.
        like: what a trained model was told of its data: the data is made to fit it, or refused.
        progress: called as downloads come in, with the file and the bytes there and in all.

    Returns:
        the data; `open_data(data.name, **data.options)` opens it again, but for an array.

    Raises:
        UserError: it is not there, is damaged, or makes no sense, or an option does not apply to it.
    """
    every = {
        "size": size, "channels": channels, "binarize": binarize, "columns": columns, "label": label,
        "window": window, "split": split,
    }  # fmt: skip
    options = check(open_data, {name: value for name, value in every.items() if value is not None}, "data")
    options["seed"] = check(open_data, {"seed": seed}, "data")["seed"]
    name, found, notes = _find(spec, progress)
    for option in options:
        if option not in found.takes:
            raise UserError(f"{name} is {found.summary}, which has no {option}; leave it out.")
    data = found.open(name=name, like=like, **_sound(options))
    return dataclasses.replace(data, options=options, notes=(*notes, *data.notes), reopens=isinstance(spec, str | Path))


def _sound(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as the openers take them: a size is (H, W), channels are 1 or 3."""
    sound = dict(options)
    if "size" in sound:
        size = sound["size"]
        if len(size) > 2:
            raise UserError(f"data: size must be one side, or height,width, but is {size}.")
        sound["size"] = (size[0], size[-1])
    if sound.get("channels") == 2:
        raise UserError("data: channels must be 1 for grey or 3 for RGB, but is 2.")
    return sound


def _find(spec: Any, progress: Progress | None) -> tuple[str, Dataset, tuple[str, ...]]:
    """The name of what is to be opened, how that is done, and what to say of the choice."""
    if isinstance(spec, str) and spec in DATASETS:
        found = DATASETS[spec]
        if spec in PICTURES:
            found = found._replace(open=functools.partial(found.open, progress=progress))
        words = f"{spec!r} is the data set of that name; for what is here under that name write ./{spec}"
        return spec, found, (words,) if Path(spec).exists() else ()
    if isinstance(spec, str | Path):
        return str(spec), _of_path(Path(spec).expanduser(), str(spec)), ()
    return "array", _of_array(spec), ()


def _of_path(path: Path, given: str) -> Dataset:
    if not given or not path.exists():
        raise UserError(
            f"there is no file or folder {given!r}, and no data set of that name.{nearest(given, DATASETS)} "
            "`lookalike catalog` lists those there are."
        )
    if (path / "run.json").is_file():  # its pictures are samples: learning from those is hardly what is meant
        raise UserError(
            f"{given} is the folder of a trained run, not data; its report.html says what it was trained on."
        )
    name = path.name.lower()
    if path.is_dir() or name.endswith((*ARCHIVES, *SUFFIXES)):
        return Dataset("a set of pictures", (*OF_PICTURES, "label"), functools.partial(_open_files, path))
    if name.endswith(tables.SUFFIXES):
        return Dataset("a table", OF_TABLES, functools.partial(_open_table, path))
    if name.endswith(".npy"):
        return _of_items(read_npy(path), None, given)
    if name.endswith(".npz"):
        items, labels, told = read_npz(path)
        return _of_items(items, labels, given, told)
    if is_idx(path):
        beside = idx_labels(path)
        return _of_items(read_idx(path), None if beside is None else read_idx(beside), given)
    raise UserError(
        f"{given} is not a kind of file that is known here: give a folder or an archive ({', '.join(ARCHIVES)}) of "
        f"pictures, a table ({', '.join(tables.SUFFIXES)}), or numbers (.npy, .npz, IDX)."
    )


def _of_array(spec: Any) -> Dataset:
    items, labels = spec if isinstance(spec, tuple) and len(spec) == 2 else (spec, None)
    if hasattr(items, "columns"):
        return Dataset("a table", OF_TABLES, functools.partial(_open_table, items))
    if not isinstance(items, np.ndarray | torch.Tensor):
        raise UserError(f"data: a name, a path, a frame or an array is needed, but this is a {type(spec).__name__}.")
    return _of_items(_numpy(items), _numpy(labels), "the array")


def _numpy(array: Any) -> Any:
    if not isinstance(array, torch.Tensor):
        return array
    array = array.detach().cpu()
    return (array.float() if array.dtype == torch.bfloat16 else array).numpy()


def _of_items(items: np.ndarray, labels: Any, where: str, told: Told | None = None) -> Dataset:
    if items.ndim <= 2:
        return Dataset("a set of rows", SPLITTING, functools.partial(_open_rows, items, labels))
    read = functools.partial(array_pictures, items, where, labels, told=told)
    return Dataset("a set of pictures", OF_PICTURES, functools.partial(_open_pictures, read))


def _open_pictures(
    read: Callable[..., Pictures],
    *,
    name: str,
    like: Spec | None = None,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    binarize: str | None = None,
    split: tuple[float, ...] | None = None,
    seed: int = 0,
) -> Data:
    """The pictures that `read` gives at a size and with channels."""
    if like is None:
        pictures = read(size=size, channels=channels)
        return split_pictures(pictures, name, binarize=binarize, split=split, seed=seed)
    if like.kind != "images":
        raise _misfit(name, "pictures", like)
    channels, *sides = like.shape
    pictures = with_classes(read(size=tuple(sides), channels=channels), like.classes)
    if like.levels == 2 and pictures.levels != 2:
        binarize = binarize or "threshold"
    elif binarize is None:
        pictures = with_levels(pictures, like.levels)
    data = split_pictures(pictures, name, binarize=binarize, split=split, seed=seed, cut=split_or_all)
    if (data.spec.shape, data.spec.levels) != (like.shape, like.levels):
        raise _misfit(name, str(data.spec), like)
    return dataclasses.replace(data, spec=like)


def _open_files(path: Path, *, label: str | None = None, **options: Any) -> Data:
    return _open_pictures(functools.partial(file_pictures, open_files(path), label=label), **options)


def _open_named(
    load: Callable[[Progress | None], Pictures], *, name: str, progress: Progress | None = None, **options: Any
) -> Data:
    def read(size: tuple[int, int] | None, channels: int | None) -> Pictures:
        return fitted(load(progress), name, size, channels)

    return _open_pictures(read, name=name, **options)


def _open_table(source: Any, *, name: str, like: Spec | None = None, **options: Any) -> Data:
    if like is None:
        return tables.open_table(source, name=name, **options)
    return _rows_like(source, like, name, **options)


def _open_rows(items: np.ndarray, labels: Any, *, name: str, like: Spec | None = None, **options: Any) -> Data:
    if like is None:
        return tables.open_rows(items, labels, name=name, **options)
    return _rows_like(items, like, name, labels=labels, **options)


def _rows_like(
    source: Any,
    like: Spec,
    name: str,
    *,
    label: str | None = None,
    labels: Any = None,
    window: int | None = None,
    split: tuple[float, ...] | None = None,
    seed: int = 0,
    **_: Any,
) -> Data:
    """New rows for a model, whose columns it knows; with labels, if these are there, of the classes it knows."""
    if like.kind == "images":
        raise _misfit(name, "rows", like)
    if window is not None:
        source = tables.windows(tables.frame_of(source), window)
    x, y, notes = tables.rows_for(like, source, name=name, label=label, labels=labels)
    parts = split_or_all(len(x), split, seed, "rows")
    train, valid, test = (Split(InMemory(x[chosen]), None if y is None else y[chosen]) for chosen in parts)
    return Data(
        name, like, train, valid, test, notes=notes, fingerprint=fingerprint(train, valid, test), order=torch.cat(parts)
    )


def _open_known(open_it: Callable[..., Data], *, name: str, like: Spec | None = None, **options: Any) -> Data:
    """Points or a table by name, which fit a model of the same columns as they are."""
    data = open_it(name, **options)
    if like is None:
        return data
    if [(c.name, c.categories) for c in data.spec.columns] != [(c.name, c.categories) for c in like.columns]:
        raise _misfit(name, str(data.spec), like)
    return dataclasses.replace(data, spec=like)


def _misfit(name: str, what: str, like: Spec) -> UserError:
    return UserError(f"{name} holds {what}, but the model was trained on {like}; give data of that kind.")


PICTURES: dict[str, tuple[str, Callable[[Progress | None], Pictures]]] = {
    "digits": ("1,797 handwritten digits, 8x8, 17 levels (embedded)", embedded.digits),
    "mnist-5k": ("5,000 handwritten digits, 28x28 (embedded)", embedded.mnist_5k),
    "mnist": ("70,000 handwritten digits, 28x28 (11 MB to download)", downloaded.mnist),
    "stacked-mnist": (
        "138,000 pictures of three digits, one a channel: 1,000 classes, 28x28 (MNIST's 11 MB)",
        downloaded.stacked_mnist,
    ),
    "fashion-mnist": ("70,000 garments of 10 kinds, 28x28 (31 MB to download)", downloaded.fashion_mnist),
    "kmnist": ("70,000 cursive Japanese characters, 28x28 (21 MB to download)", downloaded.kmnist),
    "cifar10": ("60,000 small photographs of 10 kinds, 32x32 in colour (170 MB to download)", downloaded.cifar10),
    "mnist-static": ("70,000 digits of MNIST binarised once, 28x28 (110 MB to download)", downloaded.mnist_static),
}

DATASETS: dict[str, Dataset] = {
    **{
        name: Dataset(summary, OF_PICTURES, functools.partial(_open_named, load))
        for name, (summary, load) in PICTURES.items()
    },
    **{
        name: Dataset(points.summary, SPLITTING, functools.partial(_open_known, open_points))
        for name, points in POINTS.items()
    },
    **{
        name: Dataset(table.summary, OF_TABLES, functools.partial(_open_known, open_embedded_table))
        for name, table in TABLES.items()
    },
}
"""All named data."""
