"""What a model is: a game of one or more players, and what its theory allows.

Every model yields `Turn`s: a loss, and the player whose parameters that loss moves. The one loop of
`lookalike.training` plays the game; it moves the player before it asks for the next turn, so that
alternating training is just the order of the `yield`s.

    Model       trains
    Explicit    has a density: log_prob, exact ...                   (models/tractable)
    Bounded     ... or a lower bound on it                           (models/approximate)
    Implicit    can only be sampled                                  (models/implicit)
    Latent      has a code z that decodes to x: decode, prior
    Encoder     ... and a way back: encode, reconstruct
    Informed    ... or a way back to a part of it: encode, choices
    Completer   can draw what is missing of x given the rest: complete
    Repairer    was trained to undo a corruption: repair
    Solved      has its best parameters in closed form: solve
    Judging     has a discriminator that can be asked who is winning: judge
    Coded       has a code of discrete levels, which a second model can be the prior of: codes, attach

Outside a model everything is in the user's units: images in [0, 1], points and tables as they came.
A model converts at its own door (`self.door`) and back. Classes here are abstract; all others are final.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..metrics.likelihood import bits_per_dim
from ..nn.corruption import Corruption
from ..nn.doors import Door
from ..nn.firstbatch import initialising, set_by_first_batch
from ..spec import Spec


class Turn(NamedTuple):
    """One loss, shape (), and the player whose parameters it moves; `logs` are averaged and shown."""

    player: str
    loss: Tensor
    logs: dict[str, Tensor] = {}


class Model(nn.Module, ABC):
    """A game of one or more players, each owning parameters and minimising its own objective.

    Arguments:
        spec: of the data this model is for; it is saved with the model.
    """

    bf16: bool = True
    """Whether its networks train well in bfloat16 (its losses are float32 in any case)."""
    channels_last: ClassVar[bool] = True
    """Whether its convolutions are faster with the channels innermost."""
    draws_slowly: ClassVar[bool] = False
    """Whether an image is drawn pixel by pixel, so that few are drawn where many would do for others."""
    keeps_best: bool = True
    """Whether the validation figure is what it is trained for, so that the milestone with the best one is kept."""
    conditional: bool = False
    """Whether labels y say what it draws."""
    prepares: int = 0
    """First steps that go to its parts, one by one: the whole is trained by those after them."""
    truncates: bool = False
    """Whether `sample` takes `truncation`: the most an entry of its normal z may be, in deviations, or None."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        self.door = Door(spec)

    def players(self) -> dict[str, nn.Module]:
        """Who is optimised, each by its own optimiser; one may be part of another, and is then moved by both."""
        return {"model": self}

    @abstractmethod
    def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
        """The losses of one step in the order they are played.

        Arguments:
            x: a batch in the user's units, shape (B, *spec.shape).
            y: labels, shape (B,), int64, where the data has them.
            step: how many steps have been made, for schedules.
        """

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return next(self.parameters()).device

    def labels(self, y: Tensor | None) -> Tensor | None:
        """y on the model's device where it takes labels, else None; a UserError where they are lacking."""
        if not self.conditional:
            return None
        if y is None:
            raise UserError(f"this model was trained with labels: give y, from 0 to {len(self.spec.classes) - 1}.")
        return y.to(self.device)

    def labels_or_any(self, y: Tensor | None, n: int) -> Tensor | None:
        """The labels of n draws, or where none are given each class as likely."""
        if self.conditional and y is None:
            return torch.randint(len(self.spec.classes), (n,), device=self.device)
        return self.labels(y)


class Explicit(Model):
    """A model with a density: trained by maximum likelihood unless it says otherwise."""

    @property
    @abstractmethod
    def exact(self) -> bool:
        """True: `log_prob` is log p(x). False: it is a lower bound on it."""

    @abstractmethod
    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(x) in nats, shape (B,), of the data as stored (x as in `turns`).

        For images it is the log probability of the discrete intensities (dequantisation counted), so
        never above 0; for points and tables the log density in the user's units, with the log
        probability of the categories.
        """

    @abstractmethod
    def sample(self, n: int, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        """n draws in the user's units, shape (n, *spec.shape); the same seed gives the same draws.

        Arguments:
            y: labels to condition on, shape (n,), for a conditional model.
            temperature: below 1 for less varied draws, nearer the mode.
        """

    def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
        self.start(x, y, step)
        # Maximum likelihood; in bits/dim, so that one learning rate suits every size of data.
        loss = bits_per_dim(self.log_prob(x, y), self.spec.dims).mean()
        yield Turn("model", loss, {"bits_per_dim": loss})

    def start(self, x: Tensor, y: Tensor | None, step: int) -> None:
        """Show the first batch to the layers that are set by it (`nn.firstbatch`); of later steps nothing."""
        if step == 0 and set_by_first_batch(self):
            with initialising(self), torch.no_grad():
                self.log_prob(x, y)


class Bounded(Explicit):
    """A model with a lower bound on log p(x), which more samples tighten; of some data it may be exact."""

    @property
    def exact(self) -> bool:
        return False

    @abstractmethod
    def log_prob(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> Tensor:
        """A lower bound on log p(x) in nats, shape (B,), in expectation over its own random draws.

        Arguments:
            samples: 1 for the ELBO; k > 1 for the importance-weighted bound L_k (Burda et al. 2016,
                arXiv:1509.00519, eq. 8), which rises with k to log p(x).
        """

    @abstractmethod
    def sample_means(
        self, n: int, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0
    ) -> Tensor:
        """E[x | z] of n draws of z, as `sample`: no draws of x, but what of them the code decides."""


@runtime_checkable
class Weighed(Protocol):
    """A bounded model that gives the importance weights behind its bound."""

    def log_weights(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> Tensor:
        """log w_i, nats, shape (samples, B): the mean of each w_i is p(x), and L_k = log of the mean of k of them."""


class Implicit(Model):
    """A model that can be sampled but has no density."""

    @abstractmethod
    def sample(self, n: int, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        """n draws, as `Explicit.sample`; `temperature` scales the latent prior."""


class Latent(ABC):
    """A model whose x come from a code z, shape (B, latent)."""

    latent: int

    @abstractmethod
    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The mean of x given z, in the user's units, shape (B, *spec.shape)."""


class Encoder(Latent):
    """A model with a code and a way from x to it."""

    lossless: ClassVar[bool] = False
    """Whether x comes back from its code as it was."""

    @abstractmethod
    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The code of x (the posterior's mean where there is one), shape (B, latent)."""

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """x through its code and back, in the user's units, shape of x."""
        return self.decode(self.encode(x, y), y)


class Informed(ABC):
    """A model part of whose code says something that can be read off x again, for a choice of its options."""

    @property
    @abstractmethod
    def informed(self) -> bool:
        """Whether it has such a part."""

    @property
    @abstractmethod
    def choices(self) -> int:
        """How many categories of it `sample` can be asked for by y, without labels; 0 for none."""

    @abstractmethod
    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """That part of the code of x: probabilities of categories, and means of numbers, shape (B, width)."""


class Completer(ABC):
    """A model that can draw what is missing of x, given what is known of it."""

    @abstractmethod
    def complete(
        self,
        x: Tensor,
        mask: Tensor,
        y: Tensor | None = None,
        *,
        seed: int | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """x with what the mask hides drawn anew, shape of x; what is known stays as it is.

        Arguments:
            x: in the user's units, shape (B, *spec.shape); what the mask hides does not matter.
            mask: True where x is known, of a shape that broadcasts to x's.
        """


class Repairer(Model):
    """A model that was trained to undo what `corruption` does."""

    corruption: Corruption

    @abstractmethod
    def undo(self, h: Tensor) -> Tensor:
        """What h was before, both as the door has them, shape (B, *door.shape)."""

    def repair(self, x: Tensor, known: Tensor | None = None) -> Tensor:
        """x as it was before its corruption, in the user's units, shape of x.

        Arguments:
            known: True where x can be trusted, of a shape that broadcasts to x's; elsewhere x does not matter.
        """
        h = self.door.enter(x)
        return self.door.leave(self.undo(h if known is None else self.corruption.hide(h, known.expand_as(x))))

    def attempt(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x corrupted as it is in training, and repaired, both in the user's units."""
        h = self.corruption(self.door.enter(x))
        return self.door.leave(h), self.door.leave(self.undo(h))


class Judging(ABC):
    """A model with a discriminator, which can be asked how far it is ahead of the generator."""

    @property
    @abstractmethod
    def equilibrium(self) -> float:
        """The discriminator's loss, without penalties, at its best where samples and data are alike."""

    @abstractmethod
    def judge(self, x: Tensor, fake: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """The discriminator's loss without penalties, shape (), and its logits of data and of samples, each (B,).

        Arguments:
            x, fake: data and samples in the user's units, both shape (B, *spec.shape).
            y: labels of both, shape (B,), for a conditional model.
        """


class Solved(ABC):
    """A model whose best parameters for given items can be computed: the loop does so before the first step."""

    @abstractmethod
    def solve(self, x: Tensor) -> None:
        """Take the best parameters for the training items x, shape (N, *spec.shape), on the CPU."""


class Coded(ABC):
    """A model whose code is an image of levels: data for a second model, which then is the prior of the first."""

    @property
    @abstractmethod
    def code_spec(self) -> Spec:
        """Of the code, images as any others: shape (1, h, w), with the classes of the data."""

    @abstractmethod
    def codes(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The code of x, int64 in 0 ... levels - 1, shape (B, *code_spec.shape)."""

    @abstractmethod
    def attach(self, prior: Explicit) -> None:
        """Take a trained model of the codes as the prior: for `log_prob`, `sample`, and whether labels count.

        Raises:
            UserError: it is of other data than these codes.
        """


def asked(model: Model) -> tuple[str, ...]:
    """What y may ask a draw to be, by name: a class of a conditional model, else a category of its code by number."""
    if model.conditional:
        return model.spec.classes
    return tuple(map(str, range(model.choices))) if isinstance(model, Informed) else ()


def pictured(model: Explicit | Implicit, n: int, *, seed: int = 0) -> Tensor:
    """What a picture of n draws shows, shape (n, *spec.shape): the draws themselves, or of images the means
    given the code where there are such, since noise that is independent in each pixel hides what the code says.
    Where it can be asked for classes or categories, all in turn."""
    names = asked(model)
    y = torch.arange(n, device=model.device) % len(names) if names else None
    if isinstance(model, Bounded) and model.spec.kind == "images":
        return model.sample_means(n, y, seed=seed)
    return model.sample(n, y, seed=seed)


@contextlib.contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Random numbers from `seed` inside, and outside as if nothing had been drawn; None does nothing."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
