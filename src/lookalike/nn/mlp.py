"""Networks for vectors: a plain multi-layer perceptron, and a residual one.

The residual block is h + W2 act(W1 act(h)) (He et al. 2016, arXiv:1603.05027, pre-activation), which
trains at any depth without normalisation, so no row depends on the rest of its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "sigmoid": nn.Sigmoid}
"""By the name a user gives."""


def mlp(widths: Sequence[int], activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    """A perceptron through `widths` (input, hidden ..., output), (B, *) flattened to (B, widths[0])."""
    layers: list[nn.Module] = [nn.Flatten()]
    for i, (n, m) in enumerate(pairwise(widths)):
        layers += [activation()] if i else []
        layers += [nn.Linear(n, m)]
    return nn.Sequential(*layers)


class ResidualMLP(nn.Module):
    """(B, inputs) -> (B, outputs) through `depth` residual blocks of `width`."""

    def __init__(self, inputs: int, outputs: int, width: int = 128, depth: int = 3) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        blocks = [mlp((width, width, width), nn.SiLU) for _ in range(depth)]
        for block in blocks:  # every block starts as the identity
            nn.init.zeros_(block.get_parameter(f"{len(block) - 1}.weight"))
            nn.init.zeros_(block.get_parameter(f"{len(block) - 1}.bias"))
        self.blocks = nn.ModuleList(blocks)
        self.leave = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        h = self.enter(x.flatten(1))
        for block in self.blocks:
            h = h + block(F.silu(h))
        return self.leave(F.silu(h))
