"""What is to be repaired: items of a user's that are damaged, or whole ones damaged here so that the truth is known."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data import Data, open_data
from ..data.base import Split
from ..data.gaps import fit_mask, images_with_gaps, read_mask, rows_with_gaps
from ..errors import UserError
from ..models.base import seeded
from ..nn.corruption import GRAIN, KINDS, Corruption, check_amount, lift, observe
from ..nn.doors import Door
from ..run import Run
from ..spec import Spec
from ._common import open_run_data, say

AREAS = ("box", "random", "left", "right", "top", "bottom", "centre")
"""Masks that need no file; `random` and `box` are of a share."""
SMALLER = {"shrink2": 2, "shrink4": 4}


@dataclass(frozen=True)
class Damage:
    """What happened to items.

    Arguments:
        kind: one of `nn.corruption.KINDS`.
        amount: of it.
        mask: of gaps, which are known: one of `AREAS`, a file, or "" for the gaps that the data have; None for no gaps.
    """

    kind: str
    amount: float
    mask: str | None = None

    @property
    def gaps(self) -> bool:
        return self.mask is not None


@dataclass(frozen=True)
class Damaged:
    """Items to repair, on the CPU.

    Arguments:
        x: as a network is given them, shape (N, *spec.shape); what is not known holds anything.
        seen: what there is of them: x, or small or grey images.
        known: where x is known, bool, of a shape that broadcasts to x; None for everywhere.
        truth: what they were, where it is known.
        y: labels, shape (N,).
        names: of the files they came from.
        where: the data's name and which of its items.
    """

    x: Tensor
    seen: Tensor
    known: Tensor | None
    truth: Tensor | None
    y: Tensor | None
    names: tuple[str, ...]
    where: str
    protocol: dict[str, Any]

    @property
    def before(self) -> Tensor:
        """What there is of them, at the size and with the channels of x."""
        return self.seen.to(self.x) if self.seen.shape == self.x.shape and self.known is None else self.x


def to_repair(
    run: Run, data: str | None, damage: Damage, *, spoil: bool, n: int, split: str, seed: int, how: dict[str, Any]
) -> Damaged:
    """The first n items of data that is named, damaged as it is; or whole items, damaged here.

    Raises:
        UserError: the data are not there or do not fit; the damage cannot be of such data; there is nothing to fill.
    """
    check_amount(damage.kind, damage.amount)
    if data is None or spoil:
        return _spoilt(run, data, damage, n, split, seed, how)
    spec = run.spec
    if damage.gaps and (damage.mask == "" or spec.kind != "images"):
        return _with_gaps(spec, data, n)
    found = open_data(data, like=_seen_spec(spec, damage), **how)
    for note in found.notes:
        say(f"note: {note}")
    items = _items(found, "all" if split == "auto" else split)
    seen, y = items.first(n, seed)
    x = lift(damage.kind, seen, spec.shape, damage.amount)
    known = _known(spec, damage, len(x), seed) if damage.gaps else None
    names = found.names[: len(x)] if split in ("auto", "all") else ()
    return Damaged(x, seen, known, None, y, names, f"{found.name}", {"data": found.fingerprint[:12]})


def _spoilt(run: Run, data: str | None, damage: Damage, n: int, split: str, seed: int, how: dict[str, Any]) -> Damaged:
    found = open_run_data(run, data, **how)
    chosen = ("all" if data is not None else "test") if split == "auto" else split
    truth, y = _items(found, chosen).thinned(n).first(n, seed)
    door, known = Door(run.spec), None
    protocol = {"data": found.fingerprint[:12], "split": chosen, "items": len(truth), "corruption": damage.kind}
    protocol |= {"amount": damage.amount}
    if damage.gaps:
        mask = damage.mask or "random"
        known = _known(run.spec, dataclasses.replace(damage, mask=mask), len(truth), seed)
        x = seen = _void(run.spec, truth, known)
        protocol |= {"mask": mask}
        if mask not in ("random", "box"):
            del protocol["amount"]
    elif damage.kind in ("blur", "grey", *SMALLER):
        seen = observe(damage.kind, truth, damage.amount)
        if damage.kind == "blur":
            with seeded(seed, seen.device):
                seen = (seen + GRAIN * torch.randn_like(seen)).clamp(0, 1)
        x = lift(damage.kind, seen, run.spec.shape, damage.amount)
    else:
        with seeded(seed, truth.device):
            x = seen = door.leave(Corruption(door, (damage.kind,), damage.amount)(door.enter(truth)))
    return Damaged(x, seen, known, truth, y, (), f"{found.name}, {chosen} split", protocol)


def _items(data: Data, split: str) -> Split:
    items = data.items if split == "all" else data.splits[split]
    if not len(items):
        raise UserError(f"{data.name} has no {split} items to repair.")
    return items


def _with_gaps(spec: Spec, data: str, n: int) -> Damaged:
    """Items whose file says what is missing."""
    if spec.kind == "images":
        found = images_with_gaps(spec, Path(data).expanduser()) if data.endswith(".npy") else None
        if found is None:
            raise UserError(f"{data} does not say what is missing: name it by --mask, {', '.join(AREAS)} or a drawing.")
    else:
        found = rows_with_gaps(spec, data)
    x, known, notes = found
    for note in notes:
        say(f"note: {note}")
    if known[:n].all():
        raise UserError(f"nothing is missing in the first {min(n, len(x))} items of {data}.")
    x, known = x[:n], known[:n]
    return Damaged(_void(spec, x, known), x, known, None, None, (), data, {"data": data})


def _void(spec: Spec, x: Tensor, known: Tensor) -> Tensor:
    """x with its gaps grey; of rows at the mean, or the first category."""
    if spec.kind == "images":
        return torch.where(known, x, 0.5)
    return torch.where(known, x, x.new_tensor([0.0 if c.categories else c.mean for c in spec.columns]))


def _seen_spec(spec: Spec, damage: Damage) -> Spec:
    """Of what there is of damaged items."""
    C, *sides = spec.shape if spec.kind == "images" else (0, 0, 0)
    if damage.kind in SMALLER:
        small = [math.ceil(side / SMALLER[damage.kind]) for side in sides]
        return dataclasses.replace(spec, shape=(C, *small))
    return dataclasses.replace(spec, shape=(1, *sides)) if damage.kind == "grey" else spec


def _known(spec: Spec, damage: Damage, n: int, seed: int) -> Tensor:
    """Where n items are known, bool, (n, 1, H, W) or (n, D)."""
    if spec.kind != "images":
        if damage.mask not in ("", "random"):
            raise UserError(f"rows have no {damage.mask}: leave --mask out, and what is empty in the table is filled.")
        return torch.rand(n, spec.shape[0], generator=torch.Generator().manual_seed(seed)) >= damage.amount
    mask = damage.mask or "random"
    if mask not in AREAS:
        path = Path(mask).expanduser()
        if not path.is_file():
            raise UserError(f"there is no mask {mask!r}: name a drawing, or one of {', '.join(AREAS)}.")
        drawn = read_mask(path, spec)
        if len(drawn) not in (1, n) and len(drawn) < n:
            raise UserError(f"{path} has {len(drawn)} masks, but there are {n} items: give one each, or one for all.")
        return drawn[:n].expand(n, 1, *spec.shape[1:])
    if mask in ("random", "box"):
        kind, probe = "masking" if mask == "random" else "box", torch.ones(n, 1, *spec.shape[1:])
        with seeded(seed, probe.device):
            return KINDS[kind].draw(probe, torch.full((n, 1, 1, 1), damage.amount), damage.amount) == 1
    H, W = spec.shape[1:]
    known = torch.ones(1, H, W, dtype=torch.bool)
    known[_area(mask, H, W)] = False
    return fit_mask(known[0], spec).expand(n, 1, H, W)


def _area(name: str, H: int, W: int) -> Sequence[slice]:
    half: dict[str, tuple[slice, slice]] = {
        "left": (slice(None), slice(W // 2)),
        "right": (slice(None), slice(W // 2, None)),
        "top": (slice(H // 2), slice(None)),
        "bottom": (slice(H // 2, None), slice(None)),
        "centre": (slice(H // 4, H - H // 4), slice(W // 4, W - W // 4)),
    }
    return (slice(None), *half[name])
