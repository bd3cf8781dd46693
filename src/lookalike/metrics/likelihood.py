"""Likelihoods: what data cost under a density, in nats and in bits per dimension.

    nats = -log p(x)            bits/dim = -log2 p(x) / dims

the second being the length of a lossless code, comparable between sizes of image. Where the truth is
known, E[log p_true(x) - log p(x)] over x drawn from it is KL(p_true || p): 0 only for the truth itself.

Theis et al. (2016), "A note on the evaluation of generative models", arXiv:1511.01844, sections 3.1-3.2.
No value is dropped or replaced: one impossible item makes a mean infinite, as it should.
"""

from __future__ import annotations

import math

from torch import Tensor


def nats(log_prob: Tensor) -> Tensor:
    """-log p(x), nats, of the shape of `log_prob`."""
    return -log_prob


def bits_per_dim(log_prob: Tensor, dims: int) -> Tensor:
    """-log2 p(x) / dims: `log_prob` in nats, any shape; `dims` numbers in one item."""
    return log_prob / (-dims * math.log(2))


def effective_samples(log_weights: Tensor) -> Tensor:
    """(sum_i w_i)^2 / sum_i w_i^2, shape (B,): of k importance samples, how many count; k where all weigh alike.

    Kong (1992), "A note on importance sampling using standardized weights".

    Arguments:
        log_weights: nats, shape (B, k).
    """
    return (2 * log_weights.logsumexp(1) - (2 * log_weights).logsumexp(1)).exp()


def kl_to_truth(log_prob: Tensor, log_density: Tensor) -> Tensor:
    """log p_true(x) - log p(x), nats, shape (B,): its mean over data estimates KL(p_true || p).

    Arguments:
        log_prob: of the model, nats, shape (B,).
        log_density: of the truth at the same items, nats, shape (B,).
    """
    return log_density - log_prob
