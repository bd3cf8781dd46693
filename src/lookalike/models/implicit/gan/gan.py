"""Generative adversarial network: a generator makes x of noise until a discriminator cannot tell it from data.

    z ~ N(0, I),   x = G(z)                 D(x) a logit: data above, samples below

The two play a game; what each is after is an entry of a table (`losses.OBJECTIVES`), and so is what keeps
the discriminator's slopes in check (`penalties.PENALTIES`). Published variants are recipes: values of these
slots. The generator's last step is the data's: a tanh for intensities in [-1, 1], a one-hot draw for a
category, and 0 in place of a number that it says is missing.

Goodfellow et al. (2014), "Generative adversarial nets", arXiv:1406.2661, algorithm 1. Differs from it: the
generator's turn takes the samples of the turn before, as DCGAN's code does, and saves a pass of it; where the
discriminator has several turns in a round, each has samples of its own and all have the round's items of data.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ....errors import UserError
from ....nn.gumbel import draw_fields
from ....nn.likelihoods import precise
from ....spec import Spec
from ...base import Implicit, Informed, Judging, Latent, Turn, seeded
from ..losses import Objective
from ..noise import normal
from ..penalties import Price, PullAway
from .balance import Controller
from .conditions import NOTHING, Told
from .critics import clip
from .view import PLAIN, View


class GAN(Implicit, Latent, Judging, Informed):
    """The game of a generator and a discriminator.

    Arguments:
        spec: of the data.
        generator: from z, shape (B, latent), to numbers of the door's shape, before any final tanh.
        discriminator: from the door's h to a logit for each item and what it is told, shape (B, 1 + told.outputs),
            or to a logit for each patch, shape (B, 1, h, w).
        latent: length of z.
        objective: what both are after.
        price: of the discriminator's slopes.
        pull_away: of the codes of samples, which the discriminator then tells (EBGAN).
        bound: of the discriminator's parameters, to which they are clipped after each of its moves; 0 for none.
        controller: of an objective that is balanced (BEGAN).
        n_critic: turns of the discriminator before each of the generator.
        conditional: whether labels y, shape (B,), are a second argument of the generator, and of the
            discriminator where it is not to tell them.
        told: what the discriminator says beside its logit: classes, and the codes that end z.
        view: what it is shown of items; a pack of them is one h to it.
    """

    truncates = True

    def __init__(
        self,
        spec: Spec,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        latent: int,
        objective: Objective,
        price: Price,
        pull_away: PullAway | None = None,
        bound: float = 0.0,
        controller: Controller | None = None,
        n_critic: int = 1,
        conditional: bool = False,
        told: Told = NOTHING,
        view: View = PLAIN,
    ) -> None:
        super().__init__(spec)
        self.generator = generator
        self.discriminator = discriminator
        self.latent = latent
        self.objective = objective
        self.price = price
        self.pull_away = pull_away
        self.bound = bound
        self.controller = controller
        self.n_critic = n_critic
        self.conditional = conditional
        self.told = told
        self.view = view
        # Three digits are too few for narrow modes of a row; images have no more than that.
        self.bf16 = spec.kind == "images"
        # Batch statistics of data and samples must not mix; without them one pass for both is faster.
        self._one_pass = not has_batch_norm(discriminator)

    def players(self) -> dict[str, nn.Module]:
        return {"discriminator": self.discriminator, "generator": self.generator}

    def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
        data, y = self.door.enter(x), y if self.conditional else None
        # The discriminator learns to tell data from samples ...
        for i in range(self.n_critic):
            with torch.set_grad_enabled(i == self.n_critic - 1):
                z = self.prior(len(x))
                samples = self.view(self.generate(z, y), step)
            real, fake = self.view(data, step), samples.detach()
            (real_logits, real_told), (fake_logits, fake_told) = self._judge(real, fake, y)
            loss, logs = self.loss_of(real_logits, fake_logits)
            extra, told = self.told.loss(fake_told, z, y, real_told)
            if self.price.due(step * self.n_critic + i):
                parameters = list(self.discriminator.parameters())
                paid, said = self.price(lambda h: self.logits(h, y), real, fake, loss, step, parameters)
                extra, told = extra + paid, told | said
            yield Turn("discriminator", loss + extra, logs | told)
            if self.bound:
                clip(self.discriminator, self.bound)

        # ... then the generator learns to have its last samples taken for data by the discriminator just updated.
        fake_logits, fake_told = self.opinion(samples, y)
        with torch.no_grad():
            against = self.logits(real, y) if self.objective.relative else fake_logits
        extra, told = self.told.loss(fake_told, z, y)[0], {}
        if self.pull_away is not None:
            told = {"pull_away": self.pull_away(fake_told)}
            extra = extra + self.pull_away.weight * told["pull_away"]
        yield Turn("generator", self.objective.generator(fake_logits, against) + extra, told)
        if self.controller is not None:
            self.controller.follow(real_logits, fake_logits)

    def logits(self, h: Tensor, y: Tensor | None = None) -> Tensor:
        """The discriminator's logits, float32, of h as the door gives it, shape (B,), or (B, h, w) of patches.

        Arguments:
            y: labels, shape (B,), or of one part of h where h is several parts with the same labels.
        """
        return self.opinion(h, y)[0]

    def opinion(self, h: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits, as `logits` has them, and what else the discriminator says, (B, outputs)."""
        given = (h,) if y is None or self.told.classes else (h, y.repeat(len(h) // len(y)))
        said = precise(self.discriminator(*given))
        return said[:, 0], said[:, 1:]

    def prior(
        self, n: int, *, seed: int | None = None, temperature: float = 1.0, truncation: float | None = None
    ) -> Tensor:
        """n draws z ~ N(0, temperature^2 I), each entry within `truncation` deviations, shape (n, latent).

        Codes, if there are any, are its last entries: one-hots as they are, numbers in U(-temperature, temperature).
        """
        codes, like = self.told.codes, next(self.parameters())
        with seeded(seed, self.device):
            z = temperature * normal(n, self.latent - codes.width, like, truncation)
            return torch.cat([z, codes.draw(n, like, temperature)], dim=1) if codes.width else z

    def generate(self, z: Tensor, y: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        """Samples as a network sees them, in the units of the door, with gradients, shape (B, *door.shape).

        Arguments:
            temperature: of the draws of categories; 0 takes the likeliest.
        """
        raw = precise(self.generator(z) if y is None else self.generator(z, y))
        if self.spec.kind == "images":
            return raw.tanh()
        return draw_fields(raw, self.door.fields, temperature)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """x of z, in the user's units, shape (B, *spec.shape); of categories the likeliest.

        Images are in [0, 1], not rounded to their levels.

        Arguments:
            y: labels, shape (B,), which a conditional model needs.
        """
        return self.door.leave(self.generate(z, self._labels(y, len(z)), temperature=0.0))

    @torch.no_grad()
    def sample(
        self,
        n: int,
        y: Tensor | None = None,
        *,
        seed: int | None = None,
        temperature: float = 1.0,
        truncation: float | None = None,
    ) -> Tensor:
        """n draws in the user's units, shape (n, *spec.shape); the same seed gives the same draws.

        Images are rounded to the nearest of their levels: binary ones are 1 from one half up.

        Arguments:
            y: labels, shape (n,), for a conditional model; where not given, each class is as likely. Of one with
                codes and without labels, what its first code is to be.
            temperature: multiplies z, and flattens (above 1) or sharpens the draws of categories.
            truncation: the most an entry of z may be, in deviations of the prior; None for no limit.
        """
        with seeded(seed, self.device):
            if y is None and self.conditional:
                y = torch.randint(len(self.spec.classes), (n,), device=self.device)
            z = self.prior(n, temperature=temperature, truncation=truncation)
            if y is not None and not self.conditional and self.choices:
                z, y = self._ask(z, y), None
            h = self.generate(z, self._labels(y, n), temperature)
        x = self.door.leave(h)
        return self.door.on_levels(x) if self.spec.kind == "images" else x

    @property
    def equilibrium(self) -> float:
        return self.objective.equilibrium

    def judge(self, x: Tensor, fake: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        y = self._labels(y if self.conditional else None, len(x))
        real, made = (self.view.packed(self.door.enter(items)) for items in (x, fake))
        (real_logits, _), (fake_logits, _) = self._judge(real, made, y)
        loss, _ = self.loss_of(real_logits, fake_logits)
        # Of patches the mean: an item's logit.
        return (
            loss,
            real_logits.reshape(len(real_logits), -1).mean(1),
            fake_logits.reshape(len(fake_logits), -1).mean(1),
        )

    def loss_of(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective's loss of the discriminator, shape (), and what to watch."""
        logs = {"real_logits": real_logits.mean(), "fake_logits": fake_logits.mean()}
        if self.controller is None:
            return self.objective.discriminator(real_logits, fake_logits), logs
        loss = self.objective.discriminator(real_logits, self.controller(fake_logits))
        return loss, logs | self.controller.logs(real_logits, fake_logits)

    @property
    def choices(self) -> int:
        return next(iter(self.told.codes.categories), 0)

    @property
    def informed(self) -> bool:
        return self.told.codes.width > 0

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        if not self.informed:
            raise UserError("this GAN has no code to read off an item: train infogan, or with --categorical-codes.")
        y = self._labels(y, len(x)) if self.conditional and not self.told.classes else None
        said = self.opinion(self.door.enter(x), y)[1]
        return self.told.codes.read(said[:, self.told.classes :])

    def _judge(self, real: Tensor, fake: Tensor, y: Tensor | None) -> list[tuple[Tensor, Tensor]]:
        """What the discriminator says of data and of samples: logits, and what else it tells."""
        if self._one_pass:
            logits, told = self.opinion(torch.cat([real, fake]), y)
            return list(zip(logits.chunk(2), told.chunk(2), strict=True))
        return [self.opinion(real, y), self.opinion(fake, y)]

    def _ask(self, z: Tensor, y: Tensor) -> Tensor:
        """z with the first code that of y, shape (B,)."""
        if y.shape != (len(z),) or bool(((y < 0) | (y >= self.choices)).any()):
            raise UserError(
                f"this GAN has a code of {self.choices} categories: "
                f"it takes one y from 0 to {self.choices - 1} for each of the {len(z)} items."
            )
        noise = self.latent - self.told.codes.width
        return torch.cat([z[:, :noise], self.told.codes.ask(z[:, noise:], y.to(self.device))], dim=1)

    def _labels(self, y: Tensor | None, n: int) -> Tensor | None:
        """y where it can be conditioned on, or a UserError."""
        K = len(self.spec.classes)
        if not self.conditional:
            if y is not None:
                raise UserError("this GAN was trained without labels. Leave y out, or train with --condition concat.")
            return None
        if y is None or y.shape != (n,) or bool(((y < 0) | (y >= K)).any()):
            raise UserError(
                f"this GAN is conditional: it takes one label y from 0 to {K - 1} for each of the {n} items."
            )
        return y.to(self.device)


def has_batch_norm(network: nn.Module) -> bool:
    """Whether an item's output depends, in training, on the rest of its batch."""
    return any(isinstance(module, _BatchNorm) for module in network.modules())
