"""The average of the weights over training, which is what is evaluated and saved.

    w_ema <- w_ema + (1 - d) (w - w_ema),        d = min(decay, (1 + t) / (10 + t))

with a decay that starts short, so that a short training is not an average over its beginning. Floating
buffers (batch-norm statistics) are averaged with the weights, other buffers copied: a model whose
weights are averaged and whose statistics are not is neither of the two.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Tensors = tuple[Tensor, ...] | list[Tensor]
EVERY = 8  # steps: averaging each would cost a small model a tenth of its step, and changes nothing one can measure


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """A copy of the model whose `update_parameters(model)` is to be called every `EVERY` steps.

    Arguments:
        decay: of one step; 0 makes it a plain copy of the newest weights.
    """
    per_update = decay**EVERY

    def update(averages: Tensors, news: Tensors, count: Tensor | int) -> None:
        if not averages[0].is_floating_point():
            for average, new in zip(averages, news, strict=True):
                average.copy_(new)
            return
        t = float(count)
        d = min(per_update, (1 + t) / (10 + t)) if decay > 0 else 0.0
        torch._foreach_lerp_(averages, news, 1 - d)

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)
