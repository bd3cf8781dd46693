"""BEGAN's controller: how much samples count for the discriminator, so that neither side wins.

    k <- clip(k + gain (diversity E(x) - E(G(z))), 0, 1)                  E a logit's energy, -logit

holds the samples' energy at `diversity` of that of data, by proportional control, from k = 0. How far a game is:

    convergence = E(x) + |diversity E(x) - E(G(z))|                      less is better, 0 at the end

Berthelot, Schumm & Metz (2017), "BEGAN: boundary equilibrium generative adversarial networks", arXiv:1703.10717,
section 3.3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Controller(nn.Module):
    """Weighs the logits of samples in the discriminator's loss.

    Arguments:
        diversity: gamma; less makes better samples of fewer kinds.
        gain: lambda_k, by which k follows.
    """

    k: Tensor

    def __init__(self, diversity: float = 0.5, gain: float = 1e-3) -> None:
        super().__init__()
        self.diversity = diversity
        self.gain = gain
        self.register_buffer("k", torch.zeros(()))  # saved: a training that is taken up again goes on with it

    def forward(self, fake_logits: Tensor) -> Tensor:
        """k times the logits."""
        return self.k * fake_logits

    @torch.no_grad()
    def follow(self, real_logits: Tensor, fake_logits: Tensor) -> None:
        """Move k, after the generator's turn."""
        self.k += self.gain * self._excess(real_logits, fake_logits)
        self.k.clamp_(0, 1)

    @torch.no_grad()
    def logs(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """k and how far the game is."""
        convergence = self._excess(real_logits, fake_logits).abs() - real_logits.mean()
        return {"k": self.k.clone(), "convergence": convergence}

    def _excess(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return fake_logits.mean() - self.diversity * real_logits.mean()
