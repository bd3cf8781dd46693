"""How odd items are to a trained model, ranked and explained: `SCORES`, put together by `Detector`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from torch import Tensor

from ..data.base import Data, Split
from ..errors import UserError, nearest
from ..models.base import Model
from ..options import Range
from ..report import Report
from ..run import Run
from ..scores.base import UnfitError
from ..scores.detector import Detector, Scored
from ..scores.table import SCORES
from ..spec import Spec
from ._common import open_run, open_run_data
from ._output import counter, csv, label_words, output, write

if TYPE_CHECKING:
    import pandas as pd

FITTED = 10_000
"""Training items that scores are fitted on, spread evenly where there are more."""
HELD_OUT = 10_000
SHOWN = 10
"""Oddest items that are printed."""
REASONS = 3
"""Columns or places named for each item."""


def anomaly(
    run: str | Path | Run,
    data: str | None = None,
    *,
    score: tuple[str, ...] | None = None,
    false_alarms: Annotated[float, Range(0, 1)] = 0.01,
    contamination: Annotated[float | None, Range(0, 1)] = None,
    split: Literal["auto", "all", "test", "valid", "train"] = "auto",
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
    **how: Any,
) -> Report:
    """Score how odd items are to a trained model, and say what is odd about them.

    A .csv holds a line an item: which it is, its score (higher is odder), p, the chance that an item like the training
    items is at least as odd, whether it is flagged, each score by itself, and the columns that speak most against it.
    p is counted on the validation split, which the model was not trained on.

    Example:
        lookalike anomaly runs/table new.csv -o scores.csv
        lookalike anomaly runs/photos photos/ --score reconstruction --false-alarms 0.001 -o scores.csv

    Arguments:
        run: folder of the trained model.
        data: name or path of other data of the same kind; the run's own where it is left out.
        score: names of scores, averaged by rank, as `lookalike catalog` lists them; by default those that suit the
            model.
        false_alarms: items are flagged whose p is at most this.
        contamination: flag this share of the items in place of that, the oddest ones.
        split: which items; auto takes all of data that is named, and the test split of the run's own.
        out: where to, a name that ends in .csv; by default scores.csv in the run folder.
        overwrite: replace what is there.
        seed: of what is drawn.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: an unknown score, or one that the model cannot give; the output exists; the data do not fit.
    """
    path, _ = output(out, Run.open(run).path / "scores.csv", (".csv",), overwrite=overwrite)
    opened, model, _ = open_run(run, device)
    detector = fitted(model, open_run_data(opened), score, seed)
    found = open_run_data(opened, data, **how)
    chosen = ("all" if data is not None else "test") if split == "auto" else split
    items = found.items if chosen == "all" else found.splits[chosen]
    if not len(items):
        raise UserError(f"{found.name} has no {chosen} items to score.")
    return scored(opened, found, detector, items, path, chosen, false_alarms, contamination, seed)


def fitted(model: Model, data: Data, names: Sequence[str] | None, seed: int) -> Detector:
    """A detector that knows the training items of data, and how odd its validation items are."""
    for name in names or ():
        if name not in SCORES:
            raise UserError(f"there is no score {name!r}.{nearest(name, SCORES)} There are: {', '.join(SCORES)}.")
    try:
        detector = Detector(model, names, seed)
    except UnfitError as why:
        raise UserError(f"this model cannot be asked for that score: {why}. There are: {', '.join(SCORES)}.") from None
    x, _ = data.train.thinned(FITTED).first(FITTED, seed)
    held_out, _ = data.valid.thinned(HELD_OUT).first(HELD_OUT, seed)
    detector.fit(x, held_out)
    return detector


def scored(
    run: Run,
    data: Data,
    detector: Detector,
    items: Split,
    path: Path,
    split: str,
    false_alarms: float,
    contamination: float | None,
    seed: int,
) -> Report:
    """Scores of items written to a .csv file, and the oddest of them."""
    import pandas as pd

    frames, labels, told = [], [], counter("scoring")
    for x, y in items.all(chunk=10_000, seed=seed):
        frames.append(_frame(run.spec, detector(x), detector.parts(x)))
        labels += [] if y is None else label_words(data.spec, y)
        told(sum(map(len, frames)), len(items))
    frame = pd.concat(frames, ignore_index=True)
    frame.insert(0, "item", range(len(frame)))
    if split == "all" and any(data.names):
        frame.insert(1, "name", data.names)
    if labels:
        frame["label"] = labels
    cut = _cut(frame, false_alarms, contamination)
    write(path, csv(frame))
    oddest = frame.sort_values("score", ascending=False, kind="stable").head(SHOWN)
    shown = [c for c in ("item", "name", "score", "p", "why", "label") if c in frame]
    notes = [f"left out {name}: {why}" for name, why in detector.left_out.items()]
    return Report(
        title=f"{int(frame['odd'].sum())} of {len(frame)} items of {data.name} are flagged: {cut}",
        facts={"run": str(run.path), "data": data.name, "split": split, "n": len(frame)}
        | {"scores": list(detector.scores), "flagged": int(frame["odd"].sum())},
        rows=[{name: _plain(row[name]) for name in shown} for _, row in oddest.iterrows()],
        files=[str(path)],
        notes=notes,
    )


def _cut(frame: pd.DataFrame, false_alarms: float, contamination: float | None) -> str:
    """Flags the odd ones, and says by what."""
    if contamination is None:
        frame.insert(len(frame.columns), "odd", (frame["p"] <= false_alarms).astype(int))
        return f"an item like the training items is so with a chance of {false_alarms:g}"
    n = round(contamination * len(frame))
    frame.insert(len(frame.columns), "odd", 0)
    frame.loc[frame["score"].nlargest(n).index, "odd"] = 1
    return f"the oddest {contamination:.1%}"


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
