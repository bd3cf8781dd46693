"""Data with holes, for a model that was trained on whole items: what is there, and where nothing is.

A hole is filled with something that the model could have seen, since it is the mask that counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..spec import Spec
from .arrays import read_npy
from .delimited import GAPS, read_delimited
from .opening import open_data
from .tables import rows_for, to_frame

if TYPE_CHECKING:
    import pandas as pd

Holed = tuple[Tensor, Tensor, tuple[str, ...]]
"""Items in the user's units, (N, *shape); where they are known, bool, of that shape; what to say of them."""


def rows_with_gaps(like: Spec, source: str | Any) -> Holed:
    """Rows of a file, frame or array, some of whose cells are empty or NaN; a column may be lacking whole.

    Raises:
        UserError: the file cannot be read, no row or no cell is there, or a value is none the model knows.
    """
    name = source if isinstance(source, str) else "the table"
    frame = _frame(like, source)
    columns = [column.name for column in like.columns]
    there = [column for column in columns if column in frame]
    if not there or not len(frame):
        raise UserError(f"{name} has {'no rows' if there else 'none of the columns the model knows'}: nothing to fill.")
    whole = to_frame(like, torch.tensor([[column.mean for column in like.columns]], dtype=torch.float64))
    known = {}
    for column in columns:
        if column not in there:
            frame[column] = whole[column][0]
            known[column] = np.zeros(len(frame), dtype=bool)
            continue
        words = frame[column]
        gap = words.isna() | words.astype(str).str.strip().isin(GAPS)
        frame[column] = words.astype(object).where(~gap, whole[column][0])
        known[column] = ~gap.to_numpy(dtype=bool)
    x, _, notes = rows_for(like, frame, name=name)
    lacking = [column for column in columns if column not in there]
    notes += (f"{name} lacks {', '.join(lacking)}: filled in every row",) if lacking else ()
    return x, torch.from_numpy(np.stack([known[column] for column in columns], axis=1)), notes


def _frame(like: Spec, source: Any) -> pd.DataFrame:
    import pandas as pd

    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        if not path.is_file():
            raise UserError(f"there is no file {str(source)!r}: name a table with empty cells.")
        if path.suffix.lower() not in (".npy", ".parquet", ".pq"):
            return read_delimited(path)
        source = read_npy(path) if path.suffix.lower() == ".npy" else pd.read_parquet(path)
    if hasattr(source, "columns"):
        return source.set_axis([str(column) for column in source.columns], axis=1)
    rows = np.asarray(source)
    if rows.ndim != 2 or rows.shape[1] != len(like.columns):
        raise UserError(f"rows of {len(like.columns)} columns are needed, but the array has shape {rows.shape}.")
    return pd.DataFrame(rows, columns=[column.name for column in like.columns])


def images_with_gaps(like: Spec, path: Path) -> Holed | None:
    """Images of a .npy file in which NaN marks what is not there; None of one without NaN.

    Raises:
        UserError: nothing is there but NaN, or the rest are no images for the model.
    """
    array = read_npy(path)
    if array.dtype.kind != "f" or not np.isnan(array).any():
        return None
    gap = np.isnan(array)
    if gap.all():
        raise UserError(f"{path} is NaN everywhere: nothing is known.")
    data = open_data(np.where(gap, array[~gap].flat[0], array), like=like)
    x, _ = data.items.first(len(data.items))
    if gap.ndim == 4:
        gap = gap.any(3 if gap.shape[3] in (1, 3) and gap.shape[1] not in (1, 3) else 1)
    known = fit_mask(torch.from_numpy(~gap), like)
    return x, known.expand_as(x), data.notes


def read_mask(path: Path, like: Spec) -> Tensor:
    """Where images are known, bool, (1 or N, 1, H, W), of a drawing (white is what to fill) or an array (True is).

    Raises:
        UserError: it is no picture and no array, or says that all is known or nothing.
    """
    if path.suffix.lower() == ".npy":
        fill = torch.from_numpy(read_npy(path).astype(bool))
    else:
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(path) as picture:
                fill = torch.from_numpy(np.asarray(picture.convert("L")) > 127)
        except (UnidentifiedImageError, OSError) as error:
            raise UserError(
                f"{path} is no mask: a picture, white where to fill, or a .npy is needed ({error})."
            ) from None
    if fill.dim() not in (2, 3):
        raise UserError(f"{path} has shape {tuple(fill.shape)}, but a mask must have (H, W), or (N, H, W).")
    known = fit_mask(~fill, like)
    if known.all() or not known.any():
        what = "nothing white, so nothing is to be filled" if known.all() else "all white, so nothing is known"
        raise UserError(f"{path} is {what}: draw in white what to fill, on black.")
    return known


def fit_mask(known: Tensor, like: Spec) -> Tensor:
    """A mask (H, W) or (N, H, W) at the size of the images, (1 or N, 1, H, W); known where all of it is known."""
    H, W = like.shape[1:]
    known = known.view(-1, 1, *known.shape[-2:])
    if known.shape[2:] == (H, W):
        return known
    fill = torch.nn.functional.interpolate((~known).float(), (H, W), mode="area")
    return fill < 0.25
