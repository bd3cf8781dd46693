"""Perceptual path length: how far pictures move as their code moves a little on the way between two draws.

    length = E[ |f(G(z(t))) - f(G(z(t + eps)))|^2 / eps^2 ],        z(t) on the great circle from z_a to z_b

with z_a, z_b of the prior and t uniform: short and even where nearby codes mean nearby pictures, long where pictures
jump or dissolve on the way.

Karras, Laine & Aila (2019), "A style-based generator architecture for GANs", arXiv:1812.04948, section 4.1, with their
eps = 1e-4. Differs from the paper: f is the feature space and the distance Euclidean, not the VGG-based LPIPS; of all
paths, while their code leaves out the shortest and the longest hundredth.
"""

from __future__ import annotations

from torch import Tensor

EPSILON = 1e-4


def path_length(path: Tensor, epsilon: float = EPSILON) -> Tensor:
    """Squared speed of each path, float64, shape (N,); its mean is the perceptual path length.

    Arguments:
        path: features at z(t) and z(t + epsilon), shape (N, 2, D).
    """
    return (path[:, 1].double() - path[:, 0].double()).square().sum(1) / epsilon**2
