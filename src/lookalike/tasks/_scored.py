"""Scores of items as they come: flagged, explained, written a line an item, and the oddest of them shown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ..errors import UserError
from ..pictures.heat import heat
from ..report import Report
from ..run import Run
from ..scores.detector import Detector, Scored
from ..spec import Spec
from ._output import counter, growing, output, png, write
from ._pieces import Piece

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 10
"""Oddest items that are printed."""
PICTURED = 16
"""Oddest images that are drawn."""
REASONS = 3
"""Columns or places named for each item."""


class Asked(NamedTuple):
    """What is flagged, and where it goes.

    Arguments:
        path: of the .csv. picture: of the heat map, or None.
        false_alarms, contamination: as `anomaly`.
    """

    path: Path
    picture: Path | None
    false_alarms: float
    contamination: float | None


def outputs(
    spec: Spec,
    folder: Path,
    out: Path | None,
    picture: Path | None,
    false_alarms: float,
    contamination: float | None,
    *,
    overwrite: bool,
) -> Asked:
    """Where to write, settled before any work.

    Raises:
        UserError: something is there; another ending; a picture of what are no images.
    """
    path, _ = output(out, folder / "scores.csv", (".csv",), overwrite=overwrite)
    if picture is not None:
        if spec.kind != "images":
            raise UserError("--picture shows which pixels are odd, and these are rows: their columns are in the .csv.")
        picture, _ = output(picture, picture, (".png",), overwrite=overwrite)
    return Asked(path, picture, false_alarms, contamination)


def scored(
    run: Run,
    name: str,
    detector: Detector,
    items: Iterable[Piece],
    asked: Asked,
    split: str,
    window: int | None = None,
) -> Report:
    """Scores of items written to a .csv file as they come, and the oddest of them.

    Arguments:
        name: of the data.
        window: rows that were one item; the .csv is then of rows.
    """
    import pandas as pd

    oddest = Oddest(PICTURED if asked.picture else 0)
    frames = _frames(run.spec, detector, items, oddest)
    if window is not None:
        frames = iter([_of_rows(pd.concat(list(frames)), window)])
    n = flagged = 0
    top: pd.DataFrame | None = None
    with growing(asked.path) as file:
        for frame in _flagged(frames, asked):
            file.write(frame.to_csv(index=False, header=n == 0, lineterminator="\n"))
            n, flagged = n + len(frame), flagged + int(frame["odd"].sum())
            best = frame if top is None else pd.concat([top, frame])
            top = best.sort_values("score", ascending=False, kind="stable").head(SHOWN)
    assert top is not None
    files = [str(asked.path)]
    if asked.picture is not None:
        x, parts = oddest.found()
        write(asked.picture, png(heat(x, parts)))
        files.append(str(asked.picture))
    what = "rows" if window else "items"
    shown = [c for c in ("item", "name", "score", "p", "why", "label") if c in top]
    return Report(
        title=f"{flagged} of {n} {what} of {name} are flagged: {_why_flagged(asked)}",
        facts={"run": str(run.path), "data": name, "split": split, "n": n}
        | {"scores": list(detector.scores), "flagged": flagged},
        rows=[{column: _plain(row[column]) for column in shown} for _, row in top.iterrows()],
        files=files,
        notes=_notes(detector, asked),
    )


def _notes(detector: Detector, asked: Asked) -> list[str]:
    """What was left out, and where too few items are held out for what is asked."""
    notes = [f"left out {score}: {why}" for score, why in detector.left_out.items()]
    least = 1 / (1 + len(detector.totals))
    if asked.contamination is None and least > asked.false_alarms:
        notes.append(
            f"by {len(detector.totals)} items held out no p is below {least:.2g}, so nothing can be flagged: "
            f"give --false-alarms {math.ceil(100 * least) / 100:g}, or --contamination, a share of the items"
        )
    return notes


class Oddest:
    """The oddest items so far, and what is odd about them; `keep` of them.

    The rest is not held.
    """

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.total, self.x, self.parts = torch.empty(0), torch.empty(0), torch.empty(0)

    def see(self, total: Tensor, x: Tensor, parts: Tensor | None) -> None:
        if not self.keep or parts is None:
            return
        joined = [
            torch.cat([a, b]) if len(a) else b for a, b in ((self.total, total), (self.x, x), (self.parts, parts))
        ]
        best = joined[0].argsort(descending=True, stable=True)[: self.keep]
        self.total, self.x, self.parts = (of[best] for of in joined)

    def found(self) -> tuple[Tensor, Tensor]:
        """Images and the share of each pixel in what is odd about them, both (keep, C, H, W).

        Raises:
            UserError: no score tells of pixels.
        """
        if not len(self.x):
            raise UserError("none of these scores tells which pixels are odd; ask for reconstruction or neighbours.")
        return self.x, self.parts


def _frames(spec: Spec, detector: Detector, items: Iterable[Piece], oddest: Oddest) -> Iterator[pd.DataFrame]:
    """Scores of each piece, a line an item."""
    done, told = 0, counter("scoring")
    for x, labels, names in items:
        found, parts = detector(x), detector.parts(x) if spec.columns or oddest.keep else None
        oddest.see(found.total, x.cpu(), parts)
        frame = _frame(spec, found, parts)
        frame.insert(0, "item", range(done, done + len(x)))
        if names:
            frame.insert(1, "name", names)
        if labels:
            frame["label"] = labels
        done += len(x)
        told(done, None)
        yield frame
    told(done, done)
    if not done:
        raise UserError("there are no items to score.")


def _flagged(frames: Iterator[pd.DataFrame], asked: Asked) -> Iterator[pd.DataFrame]:
    """Frames with their odd ones flagged; a share of all can only be told when all are there."""
    import pandas as pd

    if asked.contamination is None:
        for frame in frames:
            frame.insert(len(frame.columns), "odd", (frame["p"] <= asked.false_alarms).astype(int))
            yield frame
        return
    whole = pd.concat(list(frames), ignore_index=True)
    whole.insert(len(whole.columns), "odd", 0)
    whole.loc[whole["score"].nlargest(round(asked.contamination * len(whole))).index, "odd"] = 1
    yield whole


def _why_flagged(asked: Asked) -> str:
    if asked.contamination is None:
        return f"an item like the training items is so with a chance of {asked.false_alarms:g}"
    return f"the oddest {asked.contamination:.1%}"


def _of_rows(frame: pd.DataFrame, window: int) -> pd.DataFrame:
    """Scores of windows as those of rows: of each the mean over the windows that hold it.

    p is twice their mean, which is a p-value however the windows depend on each other: Vovk & Wang (2020), "Combining
    p-values via averaging", Biometrika 107, 791-808, arXiv:1212.4966.
    """
    numbers = frame.drop(columns=["item", "why"], errors="ignore").reset_index(drop=True)
    padded = numbers.reindex(range(len(numbers) + window - 1))
    rows = padded.rolling(window, min_periods=1).mean()
    rows["p"] = (2 * rows["p"]).clip(upper=1)
    rows.insert(0, "item", range(len(rows)))
    return rows


def _frame(spec: Spec, found: Scored, parts: Tensor | None) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, Any] = {"score": found.total.numpy(), "p": found.p.numpy()}
    columns |= {name: values.numpy() for name, values in found.each.items()}
    if parts is not None and spec.columns:
        columns["why"] = list(_reasons(spec, parts))
    return pd.DataFrame(columns)


def _reasons(spec: Spec, parts: Tensor) -> Iterator[str]:
    """The columns that speak most against each item, with their shares."""
    shares = parts / parts.sum(1, keepdim=True).clamp(min=1e-300)
    top = shares.topk(min(REASONS, shares.shape[1]), dim=1)
    for which, share in zip(top.indices.tolist(), top.values.tolist(), strict=True):
        yield ", ".join(f"{spec.columns[i].name} {s:.0%}" for i, s in zip(which, share, strict=True) if s >= 0.05)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
