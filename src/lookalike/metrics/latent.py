"""How much of a code carries information: a VAE that can do without a number of its code gives it up.

Where the posterior of a number is its prior for every x (posterior collapse), its mean does not vary:

    active_units = #{ j : Var over x of mean_j(x) > threshold }

Burda et al. (2016), "Importance Weighted Autoencoders", arXiv:1509.00519, section 5.2, with their threshold 0.01 (of a
prior of variance 1; the numbers are found in two clusters far from it on either side).
"""

from __future__ import annotations

from torch import Tensor


def active_units(code: Tensor, threshold: float) -> Tensor:
    """How many numbers of the code vary over items, shape ().

    Arguments:
        code: posterior means, shape (N, latent).
    """
    return (code.double().var(0, correction=0) > threshold).sum().double()
