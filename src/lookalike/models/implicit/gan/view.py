"""What a discriminator is shown in place of items: changed, noisy, and several at once.

    changed     T(h), drawn for each image of data and of samples alike              (`nn.augment`)
    noisy       h + sigma e,  e ~ N(0, I),     sigma = noise * max(0, 1 - step / noise_steps)
    packed      (h_1, ..., h_m) as one, all of data or all of samples

Noise gives data and samples, which lie on thin sets that hardly meet, some ground in common, and leaves as they near
each other. A discriminator of packs sees at once that samples are more alike than data are: a generator that drops
modes is found out by m at a time where no single sample would tell.

The generator's loss is of what is shown too, and its gradient passes through. Penalties are on the slope of D at what
it is shown, with respect to that; of a pack, all its items' numbers are one place.

Soenderby et al. (2017), arXiv:1610.04490, section 3; Arjovsky & Bottou (2017), arXiv:1701.04862, section 3; Lin et al.
(2018), "PacGAN", arXiv:1712.04086, section 3. Differs from them: a batch of B makes B / m packs, where PacGAN draws m
times as many items, and the noise falls on a straight line.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ....errors import UserError
from ....nn.augment import AUGMENTATIONS


class View(NamedTuple):
    """What is shown of items as the door gives them.

    Arguments:
        changes: names in `nn.augment.AUGMENTATIONS`, made one after the other.
        strength: of these; 0 for none, 1 for the paper's.
        noise: deviation at step 0, in the door's units: data have deviation 1, or lie in [-1, 1].
        noise_steps: after which there is none.
        pack: items shown at once.
    """

    changes: tuple[str, ...] = ()
    strength: float = 1.0
    noise: float = 0.0
    noise_steps: int = 1
    pack: int = 1

    def __call__(self, h: Tensor, step: int) -> Tensor:
        """Of h, shape (B, C, ...), the places the discriminator judges, shape (B // pack, pack * C, ...)."""
        for change in self.changes:
            h = AUGMENTATIONS[change](h, self.strength)
        sigma = self.noise * max(0.0, 1 - step / self.noise_steps)
        if sigma > 0:
            h = h + sigma * torch.randn_like(h)
        return self.packed(h)

    def packed(self, h: Tensor) -> Tensor:
        """Neighbours side by side, without change; a rest that fills no pack is left out."""
        if self.pack == 1:
            return h
        packs = len(h) // self.pack
        if packs == 0:
            raise UserError(f"a batch of {len(h)} fills no pack of {self.pack}: raise --batch-size or lower --pack.")
        return h[: packs * self.pack].reshape(packs, self.pack * h.shape[1], *h.shape[2:])


PLAIN = View()
"""Items as they are."""
