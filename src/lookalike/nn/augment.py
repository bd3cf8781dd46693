"""Changes of images that a discriminator is shown, drawn for each image, with gradients through them.

    colour        brighter by b ~ U(-1/2, 1/2);  saturation times s ~ U(0, 2);  contrast times k ~ U(1/2, 3/2)
    translation   moved by up to an eighth of each side, 0 where nothing was
    cutout        a window of half of each side, anywhere, set to 0

Where D sees T(x) of data and T(G(z)) of samples, and the generator's loss is of T(G(z)) too, few images last longer:
D has not the same ones to learn by heart, and G is not taught T, since data have it too. It works for any T that is
differentiable and that can be told from no change only by what is left.

Zhao et al. (2020), "Differentiable augmentation for data-efficient GAN training", arXiv:2006.10738, algorithm 1
and appendix A. Differs from it: a `strength`, which scales all ranges and sides, so that 0 is no change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

Augmentation = Literal["colour", "translation", "cutout"]


def colour(h: Tensor, strength: float = 1.0) -> Tensor:
    """Brightness, then saturation, then contrast; grey images have no saturation. Not clamped, as in the paper."""
    brighter, saturation, contrast = (2 * torch.rand(3, len(h), 1, 1, 1, device=h.device, dtype=h.dtype) - 1) * strength
    h = h + brighter / 2
    if h.shape[1] > 1:
        grey = h.mean(1, keepdim=True)
        h = torch.lerp(grey, h, 1 + saturation)
    mean = h.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, h, 1 + contrast / 2)


def translation(h: Tensor, strength: float = 1.0) -> Tensor:
    """Moved by whole pixels, each distance as likely; what comes in from outside is 0."""
    H, W = h.shape[2:]
    down, right = (_whole(len(h), -reach, reach, h) for reach in (_of(H, strength / 8), _of(W, strength / 8)))
    rows, columns = torch.arange(H, device=h.device) - down, torch.arange(W, device=h.device) - right  # (B, H), (B, W)
    inside = ((rows >= 0) & (rows < H))[:, :, None] & ((columns >= 0) & (columns < W))[:, None]
    items = torch.arange(len(h), device=h.device)[:, None, None]
    moved = h.movedim(1, -1)[items, rows.clamp(0, H - 1)[:, :, None], columns.clamp(0, W - 1)[:, None]]
    return moved.movedim(-1, 1) * inside[:, None]


def cutout(h: Tensor, strength: float = 1.0) -> Tensor:
    """A window whose middle is anywhere is 0; at the edges less of it shows."""
    H, W = h.shape[2:]
    inside: list[Tensor] = []
    for side in (H, W):
        size = _of(side, strength / 2)
        first = _whole(len(h), 0, side - size % 2, h) - size // 2
        at = torch.arange(side, device=h.device)
        inside.append((at >= first) & (at < first + size))  # (B, side)
    return h * ~(inside[0][:, :, None] & inside[1][:, None])[:, None]


AUGMENTATIONS: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "colour": colour,
    "translation": translation,
    "cutout": cutout,
}
"""Of images, shape (B, C, H, W), around 0: what to show in their place, the same shape."""


def _of(side: int, share: float) -> int:
    return int(side * share + 0.5)


def _whole(n: int, low: int, high: int, like: Tensor) -> Tensor:
    """Whole numbers from low to high, each as likely, shape (n, 1)."""
    return torch.randint(low, high + 1, (n, 1), device=like.device)
