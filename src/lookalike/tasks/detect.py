"""The odd items of data, in one command: a model is trained on it, and every item scored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from ..data import open_data
from ..options import Range
from ..report import Report
from ..spec import Kind
from ._common import open_run
from ._pieces import is_stream, pieces, pieces_of
from ._scored import outputs, scored
from .anomaly import fitted, known_of
from .train import train

RECIPES: Mapping[Kind, str] = {"images": "conv-ae", "points": "wide-ae", "table": "wide-ae"}
"""What is trained where nothing is named, by the kind of data."""


def detect(
    data: str | Any,
    *,
    out: Path | None = None,
    recipe: str | None = None,
    steps: Annotated[int | None, Range(1)] = None,
    minutes: Annotated[float | None, Range(0, above=True)] = None,
    false_alarms: Annotated[float, Range(0, 1)] = 0.01,
    contamination: Annotated[float | None, Range(0, 1)] = None,
    known: str | None = None,
    picture: Path | None = None,
    run: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
    **how: Any,
) -> Report:
    """Train a model on data, and rank all its items by how odd they are.

    What `lookalike train` and then `lookalike anomaly` do; the run stays, for new items.

    Example:
        lookalike detect table.csv -o scores.csv
        lookalike detect photos/ --size 32 --contamination 0.02 -o scores.csv --picture heat.png
        lookalike detect sensor.csv --window 24 -o scores.csv

    Arguments:
        data: a name, a folder, an archive or a file.
        out: where to, a name that ends in .csv; by default scores.csv in the run folder.
        recipe: what is trained; by default wide-ae for rows and conv-ae for images.
        steps: of the training; by default the recipe's.
        minutes: wall-clock limit of the training.
        false_alarms: items are flagged that one like the others is as odd as with at most this chance.
        contamination: flag this share of the items in place of that, the oddest ones.
        known: other data that are known to be odd, a few will do; see `lookalike anomaly`.
        picture: of images, where to draw the oddest beside which of their pixels are odd, a name that ends in .png.
        run: folder of the run; by default runs/detect-DATA.
        overwrite: replace what is there, run and scores.
        seed: of everything random.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the data cannot be learnt from; the run or the output exists.
    """
    folder = run or Path("runs") / f"detect-{Path(str(data)).stem if isinstance(data, str) else 'array'}"
    given = open_data(data, **how)
    asked = outputs(given.spec, folder, out, picture, false_alarms, contamination, overwrite=overwrite)
    numbers: dict[str, Any] = {
        name: value for name, value in (("steps", steps), ("minutes", minutes)) if value is not None
    }
    recipe = recipe or RECIPES[given.spec.kind]
    trained = train(recipe, data, out=folder, seed=seed, device=device, overwrite=overwrite, **numbers, **how)
    opened, model, _ = open_run(trained, device)
    detector = fitted(model, given, None, seed, known_of(opened, known, seed))
    if is_stream(opened, data):  # rows in the order they came, also of windows
        items = pieces(opened, data, "all", seed, {name: how[name] for name in how if name in ("label", "window")})
    else:
        items = pieces_of(given, "all", seed)
    return scored(opened, given.name, detector, items, asked, "all", how.get("window"))
