"""A network from an image to an image of the same size that sees both far and near.

    h_0 = unshuffle(x);   h_k+1 = down(block(h_k))          coarser and wider, k = 0 ... levels - 1
    g_k = block(up(g_k+1) + block(h_k))                     back up, each size with what it was on the way down

Ronneberger et al. (2015), "U-Net", arXiv:1505.04597; shortcuts that add and not join are those of Mao et al. (2016),
arXiv:1603.09056. Differs from both: the finest level is 2x2 pixels as channels (Zhang et al. 2018, FFDNet,
arXiv:1710.04026), a quarter of the work; blocks are residual and without normalisation, and any size is padded.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F


class UNet(nn.Module):
    """(B, channels, H, W) -> (B, outputs, H, W) for any H and W; zero at the start.

    Arguments:
        width: channels of the finest level, doubled at each of the others.
        levels: halvings below the finest level.
        depth: residual blocks at each level, on each way.
    """

    def __init__(self, channels: int, outputs: int, width: int = 32, levels: int = 2, depth: int = 1) -> None:
        super().__init__()
        self.multiple = 2 ** (levels + 1)
        widths = [width * 2**k for k in range(levels + 1)]
        self.enter = nn.Conv2d(4 * channels, width, 3, padding=1)
        self.down_blocks = nn.ModuleList(_blocks(n, depth) for n in widths)
        self.downs = nn.ModuleList(nn.Conv2d(n, m, 2, stride=2) for n, m in pairwise(widths))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(m, n, 2, stride=2) for n, m in pairwise(widths))
        self.up_blocks = nn.ModuleList(_blocks(n, depth) for n in widths[:-1])
        self.leave = nn.Conv2d(width, 4 * outputs, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.get_parameter("bias"))

    def forward(self, x: Tensor) -> Tensor:
        H, W = x.shape[2:]
        bottom, right = -H % self.multiple, -W % self.multiple
        x = F.pad(x, (right // 2, right - right // 2, bottom // 2, bottom - bottom // 2), "replicate")
        h = self.enter(F.pixel_unshuffle(x, 2))
        passed = []
        for block, down in zip(self.down_blocks, self.downs, strict=False):
            passed.append(block(h))
            h = down(passed[-1])
        h = self.down_blocks[-1](h)
        for block, up in zip(reversed(self.up_blocks), reversed(self.ups), strict=True):
            h = block(up(h) + passed.pop())
        h = F.pixel_shuffle(self.leave(F.silu(h)), 2)
        return h[..., bottom // 2 : bottom // 2 + H, right // 2 : right // 2 + W]


class _Block(nn.Module):
    """h + conv3x3(act(conv3x3(act(h)))), the identity at the start."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.get_parameter("bias"))

    def forward(self, h: Tensor) -> Tensor:
        return h + self.second(F.silu(self.first(F.silu(h))))


def _blocks(width: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(_Block(width) for _ in range(depth)))
