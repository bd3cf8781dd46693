"""What tasks write: one rule for every output.

What exists is never written over unless the user says --overwrite; that, and whether the ending is one we can
write, is settled before any work is done. A file or a folder appears whole or not at all.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from torch import Tensor

from ..disk import write_atomically
from ..errors import UserError, nearest
from ..spec import Spec
from ..training.progress import tell

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

FOLDER = "a folder"

WRITES: Mapping[str, tuple[str, ...]] = {
    "images": (".png", ".npz", FOLDER),
    "points": (".png", ".npz", ".csv"),
    "table": (".png", ".npz", ".csv"),
}
"""What items of each kind can be written as: an ending, or a folder of pictures."""

OURS = re.compile(r"\d{4,}\.png")
"""Names of the pictures in a folder we wrote."""


def output(out: Path | None, default: Path, endings: Sequence[str], *, overwrite: bool) -> tuple[Path, str]:
    """Where to write and as what, one of `endings`.

    Arguments:
        out: as the user named it, or None for `default`.
        endings: that can be written; `FOLDER` for a name without an ending or an existing folder.
        overwrite: whether what is there may be replaced.

    Raises:
        UserError: another ending; something is there and may not be replaced; the folder to write in is a file.
    """
    path = default if out is None else Path(out)
    ending = FOLDER if path.is_dir() or not path.suffix else path.suffix.lower()
    if ending not in endings:
        ways = " or ".join(filter(None, [", ".join(endings[:-1]), endings[-1]]))
        hint = " (a name without an ending)" if FOLDER in endings else ""
        raise UserError(f"cannot write {path}: this can be written as {ways}{hint}. Choose another -o.")
    _refuse_to_overwrite(path, overwrite)
    for above in path.parents:
        if above.exists() and not above.is_dir():
            raise UserError(f"cannot write {path}: {above} is a file, not a folder.")
    return path, ending


def _refuse_to_overwrite(path: Path, overwrite: bool) -> None:
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not overwrite:
        raise UserError(f"{path} exists. Choose another -o, or --overwrite to replace it.")
    if path.is_dir():
        strangers = [inside.name for inside in path.iterdir() if not OURS.fullmatch(inside.name)]
        if strangers:
            raise UserError(f"{path} holds more than our pictures ({strangers[0]}), so it is not replaced.")


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, with the folders above it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}.") from None
    write_atomically(path, content)


@contextlib.contextmanager
def growing(path: Path) -> Iterator[TextIO]:
    """A text file to be written as its lines come; it appears whole, or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8", newline="") as file:
            yield file
        beside.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}.") from None
    finally:
        beside.unlink(missing_ok=True)


def write_folder(path: Path, x: Tensor, names: Sequence[str] = ()) -> None:
    """Images in [0, 1], shape (N, C, H, W), as 0000.png ... in a folder that appears whole or not at all.

    Arguments:
        names: relative paths to give them instead.
    """
    from PIL import Image

    from ..pictures import to_bytes

    path = path.absolute()
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.mkdir(parents=True)
        for i, pixels in enumerate(to_bytes(x)):
            file = beside / (names[i] if names else f"{i:04d}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(file)
        if path.exists():
            shutil.rmtree(path)
        beside.rename(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}.") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def png(picture: Image) -> bytes:
    """A picture as a PNG file."""
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return content.getvalue()


def npz(**arrays: Any) -> bytes:
    """Arrays by name as an .npz file, without pickled objects: strings are of fixed width."""
    content = io.BytesIO()
    plain: Any = {
        name: array.numpy() if isinstance(array, Tensor) else np.array(array) for name, array in arrays.items()
    }
    np.savez_compressed(content, **plain)
    return content.getvalue()


def csv(frame: pd.DataFrame) -> bytes:
    """A frame as a .csv file."""
    return frame.to_csv(index=False, lineterminator="\n").encode()


def column_names(spec: Spec) -> dict[str, list[str]]:
    """{"columns": their names} of points and tables, {} of images: what an .npz of items holds beside them."""
    return {"columns": [column.name for column in spec.columns]} if spec.columns else {}


def label_words(spec: Spec, y: Tensor) -> list[str]:
    """The class names of labels, shape (N,)."""
    return [spec.classes[k] for k in y.tolist()]


def label_index(spec: Spec, label: str) -> int:
    """The class of that name, or of that number.

    Raises:
        UserError: there is none.
    """
    if label in spec.classes:
        return spec.classes.index(label)
    if label.isdecimal() and int(label) < len(spec.classes):
        return int(label)
    known = ", ".join(spec.classes[:12]) + (", ..." if len(spec.classes) > 12 else "")
    raise UserError(f"no class is named {label!r}.{nearest(label, spec.classes)} The classes are: {known}.")


def counter(what: str) -> Callable[[int, int | None], None]:
    """Progress on stderr for what takes longer than a second: in place on a terminal, else now and then a line.

    It is told how many are done and of how many, None where that is not known before the end.
    """
    live = sys.stderr.isatty()
    started = last = time.monotonic()

    def told(done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        over = total is not None and done >= total
        if now - started < 1 or (now - last < (0.3 if live else 15) and not (over and live)):
            return
        last = now
        words = f"{what} {done}" + (f"/{total}" if total is not None else "")
        tell(f"\r{words}\x1b[K" + "\n" * over if live else f"{words}\n")

    return told
