"""What a discriminator can say of an item beside whether it is data: its class, and the code it was made of.

    D(h) = (logit, class logits, code)      heads of one body phi(h)

    classifier   L_C = -log P(y | real) - log P(y | fake)       D: objective + w L_C
                                                                G: objective - w log P(y | fake)
    codes        z = (noise, c),   c = one-hots, each category as likely, and numbers in U(-1, 1)
                 L_I = E[log Q(c | G(z))] + H(c) <= I(c; G(z))  D and G: objective - lambda L_I

Q(c | x) is a softmax for each one-hot and a normal of deviation 1 for each number. L_I is in nats: it is at most
log K for a one-hot of K, which it reaches where each category has samples of its own, and -0.23 for a number.

Odena et al. (2017), "Conditional image synthesis with auxiliary classifier GANs", arXiv:1610.09585, eq. 2 and 3;
Chen et al. (2016), "InfoGAN", arXiv:1606.03657, eq. 4 to 6. Differs from them: samples take the labels of the
batch, whose shares are then the data's own. Q's deviation is 1, as in InfoGAN's code for digits, where the paper
learns it: with a learnt one the bound of a number has no top, and numbers drown the categories. As in that code Q
learns in the discriminator's turn and the generator from the same term in its own, where Q stands still.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....nn.mlp import mlp


class Codes(NamedTuple):
    """Of what the code c is made; as entries of z, the one-hots first.

    Arguments:
        categories: the width of each one-hot.
        numbers: how many numbers in U(-1, 1).
    """

    categories: tuple[int, ...] = ()
    numbers: int = 0

    @property
    def width(self) -> int:
        """Entries of z."""
        return sum(self.categories) + self.numbers

    @property
    def entropy(self) -> float:
        """H(c), nats."""
        return sum(math.log(K) for K in self.categories) + self.numbers * math.log(2)

    def draw(self, n: int, like: Tensor, temperature: float = 1.0) -> Tensor:
        """n draws of c, shape (n, width); at temperature 0 the first category and numbers 0."""
        hots = []
        for K in self.categories:  # all logits 0, with Gumbel noise: at any temperature but 0 each is as likely
            noise = -torch.empty(n, K, device=like.device).exponential_().log()
            hots.append(F.one_hot((temperature * noise).argmax(1), K).to(like.dtype))
        numbers = temperature * (2 * torch.rand(n, self.numbers, device=like.device, dtype=like.dtype) - 1)
        return torch.cat([*hots, numbers], dim=1)

    def ask(self, c: Tensor, y: Tensor) -> Tensor:
        """c with the first one-hot that of y, shape (B,)."""
        first = F.one_hot(y, self.categories[0]).to(c.dtype)
        return torch.cat([first, c[:, self.categories[0] :]], dim=1)

    def information(self, said: Tensor, c: Tensor) -> Tensor:
        """log Q(c | x) + H(c), nats, shape (B,), of what Q said, logits and means, (B, width); its mean is L_I."""
        *logits, mean = said.split([*self.categories, self.numbers], dim=1)
        *hots, numbers = c.split([*self.categories, self.numbers], dim=1)
        found = self.entropy - 0.5 * ((numbers - mean).square() + math.log(2 * math.pi)).sum(1)
        for part, hot in zip(logits, hots, strict=True):
            found = found + (part.log_softmax(1) * hot).sum(1)
        return found

    def read(self, said: Tensor) -> Tensor:
        """E_Q[c | x]: probabilities of the categories, and numbers, shape (B, width)."""
        *logits, mean = said.split([*self.categories, self.numbers], dim=1)
        return torch.cat([*(part.softmax(1) for part in logits), mean], dim=1)


class Heads(nn.Module):
    """A discriminator's network: from h, and labels where it judges by them, to (logit, what else it says).

        phi = features(h),   logit = v . phi + c        and with labels  + e_y . phi,  e_y learnt for each

    The latter is Miyato & Koyama 2018, arXiv:1802.05637, eq. 4.

    Arguments:
        features: from h to (B, width), before its activation.
        classes: of the labels it judges by; 0 for none.
        outputs: what else it says, by a perceptron with a layer of its own (InfoGAN, appendix C.1).
    """

    def __init__(self, features: nn.Module, width: int, classes: int = 0, outputs: int = 0) -> None:
        super().__init__()
        self.features = features
        self.linear = nn.Linear(width, 1)
        self.embed = nn.Embedding(classes, width) if classes else None
        self.says = mlp((width, 128, outputs), _leaky) if outputs else None

    def forward(self, h: Tensor, y: Tensor | None = None) -> Tensor:
        phi = F.leaky_relu(self.features(h), 0.2)
        logit = self.linear(phi)
        if self.embed is not None and y is not None:
            logit = logit + (self.embed(y) * phi).sum(1, keepdim=True)
        return logit if self.says is None else torch.cat([logit, self.says(phi)], dim=1)


_leaky: Callable[[], nn.Module] = lambda: nn.LeakyReLU(0.2)  # noqa: E731


class Told(NamedTuple):
    """What the discriminator says beside its logit, in this order, and what each is worth.

    Arguments:
        classes: of the class logits; 0 for none.
        codes: read off an item; of width 0 for none.
        class_weight: w of L_C.
        info_weight: lambda of L_I.
    """

    classes: int = 0
    codes: Codes = Codes()
    class_weight: float = 1.0
    info_weight: float = 1.0

    @property
    def outputs(self) -> int:
        return self.classes + self.codes.width

    def loss(
        self, fake: Tensor, z: Tensor, y: Tensor | None, real: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What to add to the objective, shape (), and what to watch of it.

        Arguments:
            fake: what was said of samples, shape (B, outputs).
            z: what they were made of.
            y: the labels of samples and data, shape (B,), where there are class logits.
            real: what was said of data, in the discriminator's turn.
        """
        logs: dict[str, Tensor] = {}
        loss = fake.new_zeros(())
        if self.classes and y is not None:
            said = [fake] if real is None else [fake, real]
            losses = [F.cross_entropy(part[:, : self.classes], y) for part in said]
            logs |= {"class_loss": losses[-1]} if real is not None else {}
            loss = loss + self.class_weight * sum(losses, start=fake.new_zeros(()))
        if self.codes.width:
            c = z[:, z.shape[1] - self.codes.width :].detach()
            information = self.codes.information(fake[:, self.classes :], c).mean()
            logs |= {"information": information}
            loss = loss - self.info_weight * information
        return loss, logs


NOTHING = Told()
"""A discriminator that gives a logit and no more."""
