"""Restorer: an image from what corruptions have left of it, with no code between: shortcuts carry what is sound.

    minimise  E |x - clip(f + net(f, void))|^2,        f = c(x), void pixels filled from around them

The best net is E[x | c(x)], so what it gives has the highest PSNR there can be, and is smooth where c(x) leaves open
what was there. It learns the corruption's residual, not x itself (Zhang et al. 2017, DnCNN, arXiv:1608.03981), and one
net learns several corruptions: which it is shows in c(x).

Mao et al. (2016), "Image restoration using convolutional auto-encoders with symmetric skip connections",
arXiv:1606.08921. Differs: see `nn.unet`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ...nn.corruption import Corruption, fill
from ...nn.likelihoods import precise
from ...nn.own import checked
from ...spec import Spec
from ..base import Repairer, Turn


class Restorer(Repairer):
    """A network from corrupted images to what to add to them.

    Arguments:
        network: (B, C + 1, H, W) -> (B, C, H, W); the last channel is 1 where a pixel is void.
        corruption: c.
    """

    def __init__(self, spec: Spec, network: nn.Module, corruption: Corruption) -> None:
        super().__init__(spec)
        C, H, W = spec.shape
        self.network = checked(network, "network", (C + 1, H, W), self.door.shape)
        self.corruption = corruption

    def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
        h = self.door.enter(x)
        away = self.undo(self.corruption(h)) - h
        # The door cuts what is blacker than black: it is no error, and the net need not learn to hit the end exactly.
        free = (h <= -1) & (away < 0) | (h >= 1) & (away > 0)
        loss = away.masked_fill(free, 0.0).square().mean()
        yield Turn("model", loss, {"distortion": loss})

    def undo(self, h: Tensor) -> Tensor:
        void = (h == 0).all(1, keepdim=True)  # in images of an even number of levels there is no other way to be 0
        f = fill(h, void)
        return f + precise(self.network(torch.cat([f, void.to(f.dtype)], 1)))
