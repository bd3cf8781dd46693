"""How near a reconstruction x_hat is to x: squared error, its decibels, and structural similarity.

    MSE = mean (x - x_hat)^2            PSNR = -10 log10 MSE           (the range of x is 1)

    SSIM = mean over windows of  (2 m m' + c1) (2 v + c2) / ((m^2 + m'^2 + c1) (s^2 + s'^2 + c2))

with m, m', s^2, s'^2, v the means, variances and covariance of x and x_hat in a Gaussian window.

Wang et al. (2004), "Image quality assessment: from error visibility to structural similarity", section
III.B: window 11, sigma 1.5, c1 = 0.01^2, c2 = 0.03^2. Differs from the paper: there is a window about every
pixel, the image mirrored at its edges, as torchmetrics has it; and an image smaller than the window takes the
largest odd one that fits.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def mse(x: Tensor, x_hat: Tensor) -> Tensor:
    """Mean squared error of each item, shape (B,); x and x_hat of one shape (B, ...)."""
    return (x - x_hat).square().flatten(1).mean(1)


def psnr(x: Tensor, x_hat: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image in decibels, shape (B,); infinite where nothing was lost.

    Arguments:
        x, x_hat: images in [0, 1], shape (B, C, H, W).
    """
    return -10 * mse(x, x_hat).log10()


def ssim(x: Tensor, x_hat: Tensor, window: int = 11, sigma: float = 1.5) -> Tensor:
    """Structural similarity of each image, shape (B,); 1 for equal images.

    Arguments:
        x, x_hat: images in [0, 1], shape (B, C, H, W).
        window: its width in pixels; the largest odd number up to this that fits the image is taken.
        sigma: of the Gaussian in the window, in pixels.
    """
    C = x.shape[1]
    maps = torch.cat([x, x_hat, x * x, x_hat * x_hat, x * x_hat])
    for axis in (2, 3):  # a Gaussian window is separable
        weight = _gaussian(ssim_window(x.shape[axis], window), sigma).to(maps)
        shape, padding = [C, 1, 1, 1], [0, 0, 0, 0]
        shape[axis] = len(weight)
        padding[6 - 2 * axis : 8 - 2 * axis] = 2 * [len(weight) // 2]  # F.pad counts from the last axis
        maps = F.conv2d(F.pad(maps, padding, "reflect"), weight.view(1, 1, *shape[2:]).expand(shape), groups=C)
    mean, mean_hat, square, square_hat, product = maps.chunk(5)
    variances = (square - mean**2).clamp(min=0) + (square_hat - mean_hat**2).clamp(min=0)
    covariance = product - mean * mean_hat
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean * mean_hat + c1) / (mean**2 + mean_hat**2 + c1)
    structure = (2 * covariance + c2) / (variances + c2)
    return (luminance * structure).flatten(1).mean(1)


def ssim_window(size: int, window: int = 11) -> int:
    """The width of SSIM's window on an image side of `size` pixels: odd, and no larger than it."""
    return min(window, size - (size + 1) % 2)


def _gaussian(width: int, sigma: float) -> Tensor:
    offset = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    weight = (-0.5 * (offset / sigma).square()).exp()
    return weight / weight.sum()
