"""Restorer: an image from what corruptions have left of it, with no code between: shortcuts carry what is sound.

    minimise  E |x - (c(x) + net(c(x)))|^2,        c(x) ~ the corruption

The best net is E[x | c(x)], so what it gives has the highest PSNR there can be, and is smooth where c(x) leaves open
what was there. It learns the corruption's residual, not x itself (Zhang et al. 2017, DnCNN, arXiv:1608.03981), and one
net learns several corruptions: which it is shows in c(x).

Mao et al. (2016), "Image restoration using convolutional auto-encoders with symmetric skip connections",
arXiv:1606.08921. Differs: see `nn.unet`.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional as F

from ...nn.corruption import Corruption
from ...nn.likelihoods import precise
from ...nn.own import checked
from ...spec import Spec
from ..base import Repairer, Turn


class Restorer(Repairer):
    """A network from corrupted images to what to add to them.

    Arguments:
        network: (B, C, H, W) -> (B, C, H, W).
        corruption: c.
    """

    def __init__(self, spec: Spec, network: nn.Module, corruption: Corruption) -> None:
        super().__init__(spec)
        self.network = checked(network, "network", self.door.shape, self.door.shape)
        self.corruption = corruption

    def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
        h = self.door.enter(x)
        loss = F.mse_loss(self.undo(self.corruption(h)), h)
        yield Turn("model", loss, {"distortion": loss})

    def undo(self, h: Tensor) -> Tensor:
        return h + precise(self.network(h))
