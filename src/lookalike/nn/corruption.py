"""What may have happened to data, to be undone: corruptions that a model is trained against, and that tasks repair.

    masking       a share of the pixels (of rows: of the cells) is void         h = 0
    box           a box of that share of the image is void                      h = 0
    salt-pepper   a share is black or white (rows: 2 deviations off)            h = -1 or 1
    gaussian      noise of a deviation is added, and clipped to what images can be
    blur          a Gaussian window of a deviation, in pixels
    shrink2, 4    means of 2x2 or 4x4 pixels
    grey          the luminance in place of the colours

Blur, shrinking and grey are linear maps v = A x, which `observe` gives with gradients; `lift` brings v back to the
shape of x as well as can be without knowing more. A network is given that, so that it has only the rest to learn:

    blur          Wiener's inverse, A / (A^2 + 0.001) in frequencies, of v with a little noise, as photos have it
    shrink2, 4    cubic interpolation, corrected until it shrinks to v (Irani & Peleg 1991)

Noise is what is drawn. h = 0 is grey in images and the mean in rows: no value of its own, unlike the
black of Vincent et al. (2010), "Stacked denoising autoencoders", JMLR 11, section 3.3, whose masking, salt-and-pepper
and Gaussian noise these are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError
from .doors import Door

Damage = Literal["masking", "box", "salt-pepper", "gaussian", "blur", "shrink2", "shrink4", "grey"]

VOID = 0.5
"""The intensity of a pixel that is not there: 0 at the door."""
BALANCE = 1e-3
"""Of noise and image in Wiener's inverse."""
SMOOTHINGS = 8
"""Times that void pixels become the mean of those around them."""
GRAIN = 0.01
"""Deviation of the noise of blurred images: without any, the inverse alone would be perfect, and be of no use."""
ROUNDS = 5
"""Of back-projection."""
LUMINANCE = (0.299, 0.587, 0.114)
"""Of red, green and blue (ITU-R BT.601)."""
OFF = 2.0
"""Deviations that salt and pepper put a number of a row off."""


class Kind(NamedTuple):
    """A corruption.

    Arguments:
        summary: one line.
        amount: by default; 0 of one that has none.
        draw: images in [0, 1], (B, C, H, W), an amount for each, (B, 1, 1, 1), and the most it may be, to what is
            left, the same shape.
        rows: whether rows can have it.
    """

    summary: str
    amount: float
    draw: Callable[[Tensor, Tensor, float], Tensor]
    rows: bool = False


def hidden(x: Tensor, share: Tensor) -> Tensor:
    """Where pixels are void, each by chance, bool, (B, 1, H, W)."""
    return torch.rand(len(x), 1, *x.shape[2:], device=x.device) < share


def boxed(x: Tensor, share: Tensor) -> Tensor:
    """Where a box of a share of the image is, anywhere in it, bool, (B, 1, H, W)."""
    inside = torch.ones(len(x), 1, 1, 1, dtype=torch.bool, device=x.device)
    for axis in (2, 3):
        side = x.shape[axis]
        size = (share.sqrt() * side).round()
        start = (torch.rand(len(x), 1, 1, 1, device=x.device) * (side - size + 1)).floor()
        at = torch.arange(side, device=x.device).view(-1, 1) if axis == 2 else torch.arange(side, device=x.device)
        inside = inside & (at >= start) & (at < start + size)
    return inside


def _salt_pepper(x: Tensor, share: Tensor, _most: float) -> Tensor:
    u = torch.rand(len(x), 1, *x.shape[2:], device=x.device)
    return torch.where(u < share / 2, 0.0, torch.where(u > 1 - share / 2, 1.0, x))


def blur(x: Tensor, std: Tensor, most: float) -> Tensor:
    """A Gaussian window, the edge pixels repeated beyond the edge.

    Arguments:
        std: in pixels, of each image, shape (B, 1, 1, 1).
        most: of them, which says how far the window reaches.
    """
    reach = math.ceil(3 * most)
    if reach == 0:
        return x
    B, C, H, W = x.shape
    at = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    weight = (-0.5 * (at / std.clamp(min=1e-2).view(B, 1)).square()).softmax(1).repeat_interleave(C, 0)  # (B C, window)
    h = F.pad(x, 4 * (reach,), "replicate").reshape(1, B * C, H + 2 * reach, W + 2 * reach)
    h = F.conv2d(h, weight.view(B * C, 1, 1, -1), groups=B * C)
    return F.conv2d(h, weight.view(B * C, 1, -1, 1), groups=B * C).reshape(B, C, H, W)


def unblur(v: Tensor, std: Tensor, most: float) -> Tensor:
    """Wiener's inverse of `blur`, within [0, 1]."""
    reach = math.ceil(3 * most) + 3
    v = F.pad(v, 4 * (reach,), "replicate")
    gain = v.new_ones(1)
    for axis in (2, 3):  # of a Gaussian window cut off far out: its own transform
        frequency = torch.fft.fftfreq(v.shape[axis], device=v.device).view(-1, *[1] * (3 - axis))
        gain = gain * (-2 * (math.pi * std * frequency).square()).exp()
    found = torch.fft.ifft2(torch.fft.fft2(v) * gain / (gain.square() + BALANCE)).real
    return found[..., reach:-reach, reach:-reach].clamp(0, 1)


def fill(h: Tensor, void: Tensor) -> Tensor:
    """Images whose void pixels are means of those around them, near ones first.

    Arguments:
        h: (B, C, H, W). void: bool, (B, 1, H, W).
    """
    there = (~void).to(h.dtype)
    levels = [(h * there, there)]
    while max(levels[-1][0].shape[2:]) > 1:
        levels.append(tuple(F.avg_pool2d(of, 2, ceil_mode=True) for of in levels[-1]))  # type: ignore[arg-type]
    below = levels[-1][0] / levels[-1][1].clamp(min=1e-6)
    for total, weight in reversed(levels[:-1]):
        wide = F.interpolate(below, size=total.shape[2:], mode="bilinear", align_corners=False)
        below = torch.where(weight > 0, total / weight.clamp(min=1e-6), wide)
    for _ in range(SMOOTHINGS):
        around = F.avg_pool2d(F.pad(below, (1, 1, 1, 1), "replicate"), 3, stride=1)
        below = torch.where(void, around, below)
    return below


def clipped(x: Tensor, std: float) -> Tensor:
    """E[x + noise, cut at 0 and 1]: noise that can only add to black has a mean, which is no part of the image."""
    if std == 0:
        return x
    ends = [(end - x) / std for end in (0.0, 1.0)]
    # The integral of the distribution function between the ends, by that of the normal one.
    low, high = (t * torch.special.ndtr(t) + (-0.5 * t.square()).exp() / math.sqrt(2 * math.pi) for t in ends)
    return 1 - std * (high - low)


def shrink(x: Tensor, factor: int) -> Tensor:
    """Means of factor x factor pixels; a side that is no multiple is rounded up."""
    H, W = x.shape[2:]
    return F.adaptive_avg_pool2d(x, (math.ceil(H / factor), math.ceil(W / factor)))


def enlarge(v: Tensor, size: Sequence[int], rounds: int = 0) -> Tensor:
    """Cubic interpolation to (H, W), within [0, 1], and so many rounds of what `shrink` of it lacks."""

    def cubic(v: Tensor) -> Tensor:
        return F.interpolate(v, size=tuple(size), mode="bicubic", align_corners=False)

    x = cubic(v).clamp(0, 1)
    for _ in range(rounds):
        x = (x + cubic(v - F.adaptive_avg_pool2d(x, (v.shape[2], v.shape[3])))).clamp(0, 1)
    return x


def grey(x: Tensor) -> Tensor:
    """Luminance, (B, 1, H, W); of channels that are not red, green and blue their mean."""
    weight = x.new_tensor(LUMINANCE) if x.shape[1] == 3 else x.new_full((x.shape[1],), 1 / x.shape[1])
    return (x * weight.view(1, -1, 1, 1)).sum(1, keepdim=True)


def _shrunk(factor: int) -> Callable[[Tensor, Tensor, float], Tensor]:
    return lambda x, _, __: enlarge(shrink(x, factor), x.shape[2:], ROUNDS)


def _blurred(x: Tensor, std: Tensor, most: float) -> Tensor:
    return unblur(blur(x, std, most) + GRAIN * torch.randn_like(x), std, most)


KINDS: Mapping[str, Kind] = {
    "masking": Kind(
        "a share of the pixels or cells is void", 0.3, lambda x, a, _: x.masked_fill(hidden(x, a), VOID), rows=True
    ),
    "box": Kind("a box of a share of the image is void", 0.25, lambda x, a, _: x.masked_fill(boxed(x, a), VOID)),
    "salt-pepper": Kind("a share of the pixels is black or white", 0.3, _salt_pepper, rows=True),
    "gaussian": Kind(
        "noise of a deviation, in intensities of [0, 1] or in deviations of the column",
        0.3,
        lambda x, a, _: (x + a * torch.randn_like(x)).clamp(0, 1),
        rows=True,
    ),
    "blur": Kind("a Gaussian window of a deviation in pixels", 1.5, _blurred),
    "shrink2": Kind("half the size", 0.0, _shrunk(2)),
    "shrink4": Kind("a quarter of the size", 0.0, _shrunk(4)),
    "grey": Kind("no colours", 0.0, lambda x, _, __: grey(x).expand_as(x)),
}
"""All corruptions; what is drawn is drawn for each image by itself."""


class Corruption:
    """Corruptions of a batch as a network sees it, each of an even share of its items.

    Arguments:
        door: of the model that is trained against them.
        kinds: names of `KINDS`.
        amount: of each; None for its own.
        blind: whether each item's amount is drawn, up to that.

    Raises:
        UserError: rows cannot be corrupted so, or an amount is no share.
    """

    def __init__(self, door: Door, kinds: Sequence[str], amount: float | None = None, *, blind: bool = False) -> None:
        self.door = door
        self.kinds = tuple(kinds)
        self.blind = blind
        self.amounts = {name: KINDS[name].amount if amount is None else amount for name in self.kinds}
        if not self.kinds:
            raise UserError(f"name at least one corruption of {', '.join(KINDS)}.")
        for name in self.kinds:
            check_amount(name, self.amounts[name])
            if door.spec.kind != "images" and not KINDS[name].rows:
                takes = ", ".join(known for known, kind in KINDS.items() if kind.rows)
                raise UserError(f"{name} is a corruption of images; of {door.spec.kind} take one of {takes}.")
        self._columns = torch.tensor([field.column for field in door.fields for _ in range(field.width)])
        self._real = torch.tensor([field.real for field in door.fields for _ in range(field.width)])

    def __call__(self, h: Tensor) -> Tensor:
        """h at the door, shape (B, *door.shape), with what happened to it."""
        of = self._images if self.door.spec.kind == "images" else self._rows
        parts = zip(h.chunk(len(self.kinds)), self.kinds, strict=False)
        with torch.autocast(h.device.type, enabled=False):  # three digits would be a corruption of their own
            return torch.cat([of(part, name, self._amount(part, name)) for part, name in parts])

    def hide(self, h: Tensor, known: Tensor) -> Tensor:
        """h with what is not known void; `known` of the shape of x, bool."""
        if self.door.spec.kind != "images":
            known = known[:, self._columns.to(known.device)]
        return torch.where(known, h, 0.0)

    def _amount(self, h: Tensor, name: str) -> Tensor:
        amount = h.new_full((len(h), *[1] * (h.dim() - 1)), self.amounts[name])
        return amount * torch.rand_like(amount) if self.blind else amount

    def _images(self, h: Tensor, name: str, amount: Tensor) -> Tensor:
        return KINDS[name].draw((h + 1) / 2, amount, self.amounts[name]) * 2 - 1

    def _rows(self, h: Tensor, name: str, amount: Tensor) -> Tensor:
        real = self._real.to(h.device)
        if name == "gaussian":
            return torch.where(real, h + amount * torch.randn_like(h), h)
        columns = torch.rand(len(h), len(self.door.spec.columns), device=h.device) < amount
        chosen = columns[:, self._columns.to(h.device)]
        if name == "masking":
            return h.masked_fill(chosen, 0.0)
        off = OFF * (2.0 * (torch.rand_like(h) < 0.5).to(h.dtype) - 1)
        return torch.where(chosen, torch.where(real, off, 0.0), h)


def check_amount(name: str, amount: float) -> None:
    """Refuse an amount that a corruption cannot have."""
    if name in ("masking", "box", "salt-pepper") and not 0 <= amount <= 1:
        raise UserError(f"the amount of {name} is a share, from 0 to 1, but is {amount:g}.")
    if amount < 0 or not math.isfinite(amount):
        raise UserError(f"the amount of {name} must be at least 0, but is {amount:g}.")


def observe(name: str, x: Tensor, amount: float) -> Tensor:
    """A x: what is left of images in the mean over noise, differentiable."""
    if name == "gaussian":
        return clipped(x, amount)
    if name == "blur":
        return blur(x, x.new_full((len(x), 1, 1, 1), amount), amount)
    if name in ("shrink2", "shrink4"):
        return shrink(x, int(name[-1]))
    return grey(x) if name == "grey" else x


def lift(name: str, v: Tensor, shape: Sequence[int], amount: float = 0.0) -> Tensor:
    """v = A x as an image of `shape`, (C, H, W): what a network is given."""
    if name == "blur":
        return unblur(v, v.new_full((len(v), 1, 1, 1), amount), amount) if amount else v
    if name in ("shrink2", "shrink4"):
        return enlarge(v, shape[1:], ROUNDS)
    return v.expand(-1, shape[0], -1, -1) if name == "grey" else v
