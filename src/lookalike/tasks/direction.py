"""A direction in code space that stands for what some items have and others have not, and items moved along it.

    means       d = mean z(like) - mean z(unlike)
    logistic    d = n <n, that>,      n the unit normal of logistic regression of like against unlike

    x(t) = decode(z + t d)            t = 1: what sets the one kind apart from the other is added once

With t = 1 this is arithmetic of codes, z + a - b: Radford et al. (2016), arXiv:1511.06434, figure 7, and, for
attributes, Larsen et al. (2016), arXiv:1512.09300. The normal leaves alone what goes along with an attribute and is
not it, as far as a plane can tell (Shen et al. 2020, "Interpreting the latent space of GANs", arXiv:1907.10786).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data import Data
from ..errors import UserError
from ..models.base import Encoder, Latent, Model
from ..options import Range
from ..report import Report
from ..run import Run
from ..scores.search import search
from ..spec import Spec
from ._common import latent_model, open_run, open_run_data
from ._output import column_names, counter, csv, label_index, npz, output, png, write
from ._vectors import Numbers, encoded, flat, linear_classifier

JUDGES_FROM = 2000
"""Training items of a classifier that says what came of the moved ones."""


class Items(NamedTuple):
    """Items x in the user's units, and labels y where there are labels."""

    x: Tensor
    y: Tensor | None


def direction(
    run: str | Path | Run,
    data: str | None = None,
    *,
    like: tuple[str, ...] = (),
    unlike: tuple[str, ...] | None = None,
    of: tuple[str, ...] | None = None,
    method: Literal["means", "logistic"] = "means",
    strengths: tuple[float, ...] = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5),
    n: Annotated[int, Range(1, 1000)] = 8,
    limit: Annotated[int, Range(1)] = 1000,
    out: Path | None = None,
    overwrite: bool = False,
    seed: int = 0,
    device: str = "auto",
    **how: Any,
) -> Report:
    """Move items along what sets some items apart from others: an attribute added or taken away, or a - b + c.

    Items are named by a class, or one by one as @ and their number in the data, counted from 0 as `encode`, `cluster`
    and `map` count them. A model without an encoder is searched for their codes.

    Example:
        lookalike direction runs/digits --like 7 --unlike 1 -o sevens.png
        lookalike direction runs/faces --like @3,@14,@15 --unlike @9,@26 --of @5 --strengths 0,1 -o smile.png

    Arguments:
        run: folder of the trained model.
        data: name or path of other data of the same kind; the run's own where it is left out.
        like: what is added, a: classes, or items as @3,@14.
        unlike: what is taken away, b; by default all items that are not like.
        of: what is moved, c; by default items of unlike that were held out.
        method: the difference of both means, or the normal of the plane between them.
        strengths: how far items are moved, in differences of the means.
        n: how many items are moved, at most.
        limit: most items that a direction is taken from, of either side.
        out: where to: a name that ends in .png (images), .npz (x, shape (n, strengths, ...), z, direction) or, of
            rows, .csv; by default direction.png, of rows direction.csv, in the run folder.
        overwrite: replace what is there.
        seed: of a search and of dynamic binarisation.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the model has no code; there are no such classes or items; the output exists.
    """
    if not like:
        raise UserError("say what items are moved towards: --like a class, or items as @3,@14.")
    opened = Run.open(run)
    spec = opened.spec
    endings = (".png", ".npz") if spec.kind == "images" else (".csv", ".npz")
    path, ending = output(out, opened.path / f"direction{endings[0]}", endings, overwrite=overwrite)
    _, model, _ = open_run(opened, device)
    latent_model(model, "direction")
    found = open_run_data(opened, data, **how)
    a = _named(found, like, "train", limit, seed)
    b = _named(found, unlike, "train", limit, seed) if unlike else _others(found, like, limit, seed)
    c = _named(found, of or unlike, "test", n, seed) if of or unlike else _others(found, like, n, seed, "test")
    z_a, z_b, z_c = (_codes(model, items, seed) for items in (a, b, c))
    d = _direction(z_a, z_b, method)
    moved = _moved(model, z_c, d, strengths, c.y)
    rows = _rows(found, moved, like, strengths) if _are_classes(like) else []
    write(path, _content(spec, ending, c.x, moved, z_c, d, strengths))
    return Report(
        title=f"{len(c.x)} items of {found.name} moved towards {', '.join(like)} through {opened.path}",
        facts={"run": str(opened.path), "data": found.name, "like": list(like), "unlike": list(unlike or ())}
        | {"method": method, "strengths": list(strengths), "n": len(c.x)},
        rows=rows,
        files=[str(path)],
        notes=[
            f"a direction of length {np.linalg.norm(d):.3g}, from {len(z_a)} items that are like and {len(z_b)} not"
        ],
    )


def _are_classes(words: tuple[str, ...]) -> bool:
    return not any(word.startswith("@") for word in words)


def _named(data: Data, words: tuple[str, ...] | None, split: str, limit: int, seed: int) -> Items:
    """Items by their numbers in the data, or of classes in one of its splits.

    Raises:
        UserError: there are none.
    """
    assert words is not None
    numbers = [word[1:] for word in words if word.startswith("@")]
    if numbers and len(numbers) < len(words):
        raise UserError(f"{','.join(words)} names classes and items: give the one or the other.")
    items = data.items if numbers else data.splits[split]
    if numbers:
        wrong = [number for number in numbers if not (number.isdecimal() and int(number) < len(items))]
        if wrong:
            raise UserError(f"there is no item @{wrong[0]}: {data.name} has items @0 to @{len(items) - 1}.")
        return Items(*items.batch(torch.tensor([int(number) for number in numbers])[:limit], seed))
    return _of_labels(data, items, [_label(data, word) for word in words], limit, seed, ", ".join(words))


def _others(data: Data, like: tuple[str, ...], limit: int, seed: int, split: str = "train") -> Items:
    """Items that are not like, spread evenly; of single items all others."""
    items = data.splits[split]
    if _are_classes(like):
        labels = [_label(data, word) for word in like]
        rest = [label for label in range(len(data.spec.classes)) if label not in labels]
        return _of_labels(data, items, rest, limit, seed, f"no class but {', '.join(like)}")
    return Items(*items.thinned(limit).first(limit, seed))


def _label(data: Data, word: str) -> int:
    if not data.spec.classes:
        raise UserError(
            f"{data.name} has no labels, so no class {word!r}: name items, as @3,@14, or the column by --label."
        )
    return label_index(data.spec, word)


def _of_labels(data: Data, items: Any, labels: list[int], limit: int, seed: int, words: str) -> Items:
    y = torch.empty(0) if items.y is None else items.y.cpu()
    chosen = torch.isin(y, torch.tensor(labels)).nonzero().squeeze(1)
    if not len(chosen):
        raise UserError(f"{data.name} has no such items: {words}.")
    chosen = chosen[torch.arange(min(limit, len(chosen))) * len(chosen) // min(limit, len(chosen))]
    return Items(*items.batch(chosen, seed))


def _codes(model: Model, items: Items, seed: int) -> Numbers:
    """Their codes, float64, shape (N, latent)."""
    y = items.y if model.conditional else None
    if isinstance(model, Encoder):
        return encoded(model, items.x, y, seed)
    found: Numbers = search(model, items.x, y, seed=seed, progress=counter("searching")).z.double().numpy()
    return found


def _direction(z_a: Numbers, z_b: Numbers, method: str) -> Numbers:
    difference: Numbers = z_a.mean(0) - z_b.mean(0)
    if method == "means":
        return difference
    from sklearn.linear_model import LogisticRegression

    z = np.concatenate([z_a, z_b])
    scale = np.maximum(z.std(0), 1e-9)
    plane = LogisticRegression(max_iter=1000, class_weight="balanced").fit(z / scale, np.arange(len(z)) < len(z_a))
    normal: Numbers = plane.coef_[0] / scale
    normal = normal / max(float(np.linalg.norm(normal)), 1e-12)
    return normal * (normal @ difference)


@torch.inference_mode()
def _moved(model: Model, z: Numbers, d: Numbers, strengths: tuple[float, ...], y: Tensor | None) -> Tensor:
    """Items decoded from z + t d, shape (n, T, *shape)."""
    assert isinstance(model, Latent)
    t = np.array(strengths)
    codes = torch.from_numpy(z[:, None] + t[:, None] * d).flatten(0, 1)  # (n T, latent)
    labels = None if y is None or not model.conditional else y.to(model.device).repeat_interleave(len(t))
    x = model.decode(codes.to(model.device, model.door.precision.dtype), labels)
    return x.cpu().unflatten(0, (len(z), len(t)))


def _rows(data: Data, moved: Tensor, like: tuple[str, ...], strengths: tuple[float, ...]) -> list[dict[str, Any]]:
    """By a classifier of the data itself, which share of the moved items is like, at each strength."""
    x, y = data.train.thinned(JUDGES_FROM).first(JUDGES_FROM)
    if y is None or len(y.unique()) < 2:
        return []
    v = flat(data.spec, x.cpu())
    judge = linear_classifier(v / v.std(), y.cpu().numpy())
    labels = [label_index(data.spec, word) for word in like]
    said = judge.predict(flat(data.spec, moved.flatten(0, 1)) / v.std()).reshape(moved.shape[:2])
    shares = np.isin(said, labels).mean(0)
    return [
        {"strength": t, f"taken for {', '.join(like)}": f"{share:.0%}"}
        for t, share in zip(strengths, shares.tolist(), strict=True)
    ]


def _content(
    spec: Spec, ending: str, x: Tensor, moved: Tensor, z: Numbers, d: Numbers, strengths: tuple[float, ...]
) -> bytes:
    if ending == ".npz":
        return npz(x=moved, data=x, z=z, direction=d, strengths=list(strengths), **column_names(spec))
    n, T = moved.shape[:2]
    if ending == ".png":
        from ..pictures import grid

        rows = torch.cat([x.cpu()[:, None].to(moved), moved], dim=1)
        return png(grid(rows.flatten(0, 1), columns=T + 1, column_labels=["data", *(f"{t:g}" for t in strengths)]))
    from ..data.tables import to_frame

    frame = to_frame(spec, moved.flatten(0, 1))
    frame.insert(0, "item", [i // T for i in range(n * T)], allow_duplicates=True)
    frame.insert(1, "strength", [strengths[i % T] for i in range(n * T)], allow_duplicates=True)
    return csv(frame)
