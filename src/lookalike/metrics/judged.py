"""Inception-style score: samples each clearly of a class, and all classes among them.

    score = exp( E_x KL(p(y | x) || p(y)) ),        p(y) = E_x p(y | x)

between 1 and the number of classes, with p(y | x) of a classifier, in parts of the samples: the value is the mean of
the parts and the standard error is of that mean. It sees neither the data nor a class drawn as one picture (Barratt &
Sharma 2018, arXiv:1801.01973), and depends on the classifier and the size of the parts.

Salimans et al. (2016), "Improved techniques for training GANs", arXiv:1606.03498, section 4. Differs from the paper:
the classifier is the feature space's, whichever that is, and not always Inception; so values are named after none.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UserError
from .distances import Estimate


def inception_score(logits: Tensor, splits: int = 10) -> Estimate:
    """Score of samples by their class logits, float64, and its standard error over the parts.

    Arguments:
        logits: shape (N, classes); at least two a part, or a UserError.
        splits: parts, one after the other in the order of the samples.
    """
    N = len(logits)
    if 2 * splits > N:
        raise UserError(f"the inception score in {splits} parts needs at least {2 * splits} samples, but got {N}.")
    scores = []
    for k in range(splits):
        log_probs = logits[k * N // splits : (k + 1) * N // splits].double().log_softmax(1)
        log_share = log_probs.logsumexp(0) - torch.tensor(len(log_probs)).log()
        scores.append((log_probs.exp() * (log_probs - log_share)).sum(1).mean().exp())
    parts = torch.stack(scores)
    return Estimate(parts.mean(), parts.std() / splits**0.5)
