"""What repairs a picture without having learnt: the classical methods that ours are held against.

    median, wavelet (cycle-spun), non-local means, total variation, collaborative        noise
    biharmonic, total variation                                                          gaps
    bilinear, bicubic, back-projection                                                   low resolution
    Wiener, Richardson-Lucy, unsharp mask                                                blur

All but two are scikit-image's (`pip install scikit-image`; the benchmark's alone). `collaborative` is the first stage
of BM3D (Dabov et al. 2007, IEEE TIP 16, 2080-2095): like patches stacked, transformed in three dimensions, cut hard,
put back. Each method has a small grid of settings, and takes the one that is best on validation images.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from scipy.ndimage import median_filter

Image = NDArray[np.float64]
Method = Callable[..., Image]
"""A damaged image (H, W, C) in [0, 1], what else is known of it and the settings to the image.

What else is known: of gaps where there are none, (H, W), bool; of low resolution the small image itself, (h, w, C).
"""


def _skimage(name: str) -> Any:
    import skimage.filters
    import skimage.restoration

    return getattr(skimage.restoration, name, None) or getattr(skimage.filters, name)


def median(image: Image, _known: Any, *, size: int) -> Image:
    return median_filter(image, (size, size, 1))


def total_variation(image: Image, _known: Any, *, weight: float) -> Image:
    return _skimage("denoise_tv_chambolle")(image, weight, channel_axis=-1)


def non_local(image: Image, _known: Any, *, h: float, patch: int) -> Image:
    return _skimage("denoise_nl_means")(image, patch, 9, h, fast_mode=True, channel_axis=-1)


def wavelet(image: Image, _known: Any, *, sigma: float) -> Image:
    denoise = _skimage("denoise_wavelet")
    shifts = {"sigma": sigma, "channel_axis": -1, "rescale_sigma": True}
    return _skimage("cycle_spin")(image, func=denoise, max_shifts=(2, 2, 0), num_workers=1, func_kw=shifts)


def collaborative(image: Image, _known: Any, *, cut: float, patch: int = 6, group: int = 16) -> Image:
    return np.stack([_grouped(channel, cut, patch, group) for channel in np.moveaxis(image, 2, 0)], 2)


def _grouped(image: Image, cut: float, patch: int, group: int) -> Image:
    windows = np.lib.stride_tricks.sliding_window_view(image, (patch, patch))
    rows, columns = windows.shape[:2]
    patches = windows.reshape(rows * columns, patch, patch)
    flat = patches.reshape(len(patches), -1)
    distance = (flat**2).sum(1)[:, None] - 2 * flat @ flat.T + (flat**2).sum(1)
    near = np.argpartition(distance, min(group, len(flat)) - 1, axis=1)[:, :group]
    spectrum = dctn(patches[near], axes=(1, 2, 3), norm="ortho")
    kept = np.abs(spectrum) > cut
    weight = 1 / np.maximum(kept.sum((1, 2, 3)), 1)
    found = idctn(spectrum * kept, axes=(1, 2, 3), norm="ortho") * weight[:, None, None, None]
    total, count = np.zeros_like(image), np.zeros_like(image)
    at_row, at_column = np.divmod(near, columns)
    for i, j in itertools.product(range(patch), range(patch)):
        np.add.at(total, (at_row + i, at_column + j), found[:, :, i, j])
        np.add.at(count, (at_row + i, at_column + j), np.broadcast_to(weight[:, None], near.shape))
    return total / count


def biharmonic(image: Image, known: NDArray[np.bool_]) -> Image:
    if known.all():
        return image
    return _skimage("inpaint_biharmonic")(image, ~known, channel_axis=-1)


def of_extremes(image: Image, _known: Any) -> Image:
    """Black and white pixels taken for gaps, and filled."""
    known = ((image > 0) & (image < 1)).any(2)
    return biharmonic(image, known) if known.any() else image


def variation_inpaint(image: Image, known: NDArray[np.bool_], *, weight: float) -> Image:
    found = np.where(known[..., None], image, image[known].mean(0) if known.any() else 0.5)
    for _ in range(30):
        found = np.where(known[..., None], image, total_variation(found, None, weight=weight))
    return found


def wiener(image: Image, _known: Any, *, std: float, balance: float) -> Image:
    return _by_channel(image, lambda c: _skimage("wiener")(c, window(std), balance))


def richardson_lucy(image: Image, _known: Any, *, std: float, steps: int) -> Image:
    return _by_channel(image, lambda c: _skimage("richardson_lucy")(c, window(std), num_iter=steps))


def unsharp(image: Image, _known: Any, *, radius: float, amount: float) -> Image:
    return _by_channel(image, lambda c: _skimage("unsharp_mask")(c, radius, amount))


def _by_channel(image: Image, work: Callable[[Image], Image]) -> Image:
    reach = 6  # the edge repeated, as the corruption has it
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), "edge")
    found = np.stack([work(channel) for channel in np.moveaxis(padded, 2, 0)], 2)
    return found[reach:-reach, reach:-reach]


def window(std: float) -> Image:
    at = np.arange(-np.ceil(3 * std), np.ceil(3 * std) + 1)
    weight = np.exp(-0.5 * (at / std) ** 2)
    return np.outer(weight, weight) / weight.sum() ** 2


def unchanged(image: Image, _known: Any) -> Image:
    """As it is given: of low resolution, enlarged by cubic interpolation."""
    return image


def back_projected(image: Image, small: Image, *, factor: int, steps: int) -> Image:
    """Corrected until it shrinks to what was given (Irani & Peleg 1991)."""
    import torch

    from lookalike.nn.corruption import enlarge, shrink

    found, wanted = (torch.from_numpy(of).movedim(2, 0)[None] for of in (image, small))
    for _ in range(steps):
        away = wanted - shrink(found, factor)  # in [-1, 1], and enlarging keeps to [0, 1]
        found = found + 2 * enlarge(0.5 + away / 2, found.shape[2:]) - 1
    return found[0].movedim(0, 2).numpy()


NOISE: Mapping[str, tuple[Method, dict[str, tuple[Any, ...]]]] = {
    "median": (median, {"size": (3, 5)}),
    "total variation": (total_variation, {"weight": (0.05, 0.1, 0.2, 0.4)}),
    "non-local means": (non_local, {"h": (0.05, 0.1, 0.2, 0.3), "patch": (3, 5, 7)}),
    "wavelet": (wavelet, {"sigma": (0.1, 0.2, 0.3, 0.45)}),
    "collaborative": (collaborative, {"cut": (0.3, 0.6, 0.8, 1.1)}),
}

METHODS: Mapping[str, Mapping[str, tuple[Method, dict[str, tuple[Any, ...]]]]] = {
    "gaussian": NOISE,
    "salt-pepper": {**NOISE, "extremes filled": (of_extremes, {})},
    "masking": {"biharmonic": (biharmonic, {}), "total variation": (variation_inpaint, {"weight": (0.02, 0.1, 0.3)})},
    "box": {"biharmonic": (biharmonic, {}), "total variation": (variation_inpaint, {"weight": (0.02, 0.1, 0.3)})},
    "blur": {
        "Wiener": (wiener, {"std": (1.5,), "balance": (1e-5, 1e-4, 1e-3, 1e-2)}),
        "Richardson-Lucy": (richardson_lucy, {"std": (1.5,), "steps": (10, 30, 100, 300)}),
        "unsharp mask": (unsharp, {"radius": (1.0, 2.0), "amount": (0.5, 1.0, 2.0)}),
    },
    "shrink2": {"bicubic": (unchanged, {}), "back-projection": (back_projected, {"factor": (2,), "steps": (1, 5, 20)})},
    "shrink4": {"bicubic": (unchanged, {}), "back-projection": (back_projected, {"factor": (4,), "steps": (1, 5, 20)})},
    "grey": {"grey": (unchanged, {})},
}
"""By corruption: what repairs it, and the grid of its settings."""


def settings(grid: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Every point of a grid."""
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def repaired(method: Method, images: Image, also: Image, how: Mapping[str, Any]) -> Image:
    """All images, (N, H, W, C), by one method, within [0, 1]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [method(image, of, **how) for image, of in zip(images, also, strict=True)]
    return np.nan_to_num(np.stack(found).reshape(images.shape)).clip(0, 1)


def curve(found: Image, truth: Image) -> NDArray[np.float64]:
    """The cubic of intensities that brings what was found nearest to the truth: clipped noise has a mean, and so on."""
    return np.polyfit(found.ravel(), truth.ravel(), 3)
