"""The cases of the doctor's study: healthy trainings, and trainings with a fault planted, each small.

A fault is planted in the options, in the data, or from a step on in what the model does; which signals it must raise is
written beside it before it is trained.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lookalike.data.base import Data, InMemory, Split
from lookalike.models.base import Turn

Plant = Callable[[Any, Data, int], None]
"""(model, data, onset): changes the model so that from the step `onset` on it is ill."""


class Case(NamedTuple):
    """One training.

    Arguments:
        options: beside the recipe's own.
        fault: what is planted; "" for a healthy one.
        expects: signals one of which must speak.
        plant, spoil: how, in the model or in the data.
        onset: share of the training after which it begins.
    """

    recipe: str
    data: str
    options: Mapping[str, Any]
    fault: str = ""
    expects: tuple[str, ...] = ()
    plant: Plant | None = None
    spoil: Callable[[Data], Data] | None = None
    onset: float = 0.0


def _turning(model: Any, change: Callable[[Iterator[Turn], int], Iterator[Turn]]) -> None:
    """Have what a model yields go through `change`."""
    turns = model.turns
    model.turns = lambda x, y=None, step=0: change(turns(x, y, step), step)


class Spoilt(nn.Module):
    """A network whose input or output is changed while `ill` is 1; it is saved and averaged with the rest."""

    def __init__(self, net: nn.Module, before: Callable[[Tensor], Tensor], after: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.before, self.after = net, before, after
        self.register_buffer("ill", torch.zeros((), dtype=torch.int64))

    def forward(self, h: Tensor) -> Tensor:
        return self.after(self.net(self.before(h))) if self.ill else self.net(h)


def _as_it_is(h: Tensor) -> Tensor:
    return h


def _nothing(h: Tensor) -> Tensor:
    return 0 * h


def _spoilt(
    part: str, before: Callable[[Tensor], Tensor] = _as_it_is, after: Callable[[Tensor], Tensor] = _as_it_is
) -> Plant:
    def plant(model: Any, _data: Data, onset: int) -> None:
        net = Spoilt(getattr(model, part), before, after)
        setattr(model, part, net)

        def change(turns: Iterator[Turn], step: int) -> Iterator[Turn]:
            if step >= onset:
                net.ill.fill_(1)
            return turns

        _turning(model, change)

    return plant


def _borderless(raw: Tensor) -> Tensor:
    inside = torch.zeros_like(raw)
    inside[..., 1:-1, 1:-1] = 1
    return torch.where(inside > 0, raw, -9.0)


def _not_a_number(model: Any, _data: Data, onset: int) -> None:
    def change(turns: Iterator[Turn], step: int) -> Iterator[Turn]:
        for turn in turns:
            yield turn._replace(loss=turn.loss * float("nan")) if step == onset else turn

    _turning(model, change)


def _dying(model: Any, _data: Data, onset: int) -> None:
    first = next(module for module in model.modules() if isinstance(module, nn.Linear))

    def change(turns: Iterator[Turn], step: int) -> Iterator[Turn]:
        if step == onset:
            with torch.no_grad():
                first.bias.fill_(-100.0)
        return turns

    _turning(model, change)


def _blind_to_modes(modes: int) -> Plant:
    """Training items of the first so many clusters are never shown to the model."""

    def plant(model: Any, data: Data, onset: int) -> None:
        assert data.modes is not None
        centres, turns = data.modes[0], model.turns

        def seen(x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
            kept = torch.cdist(x.double(), centres.double()).argmin(1) >= modes
            return turns(x[kept] if step >= onset else x, y, step)

        model.turns = seen

    return plant


def _copying(model: Any, data: Data, _onset: int) -> None:
    """Samples are training items."""
    items, _ = data.train.first(len(data.train))

    def sample(n: int, _y: Tensor | None = None, *, seed: int | None = None, **_: Any) -> Tensor:
        return items[torch.randint(len(items), (n,), generator=torch.Generator().manual_seed(seed or 0))]

    model.sample = sample


def _with_train(data: Data, items: Tensor) -> Data:
    train = Split(InMemory(items), None, levels=data.train.levels, binarize=data.train.binarize)
    return dataclasses.replace(data, train=train)


def stored(data: Data) -> Tensor:
    """Training items as they are stored."""
    return data.train.source.take(torch.arange(len(data.train))).clone()


def _repeated(data: Data) -> Data:
    items = stored(data)
    items[len(items) // 2 :] = items[: len(items) - len(items) // 2]
    return _with_train(data, items)


def _leaking(data: Data) -> Data:
    items = stored(data)
    held = data.valid.source.take(torch.arange(len(data.valid)))
    items[: len(held) // 3] = held[: len(held) // 3]
    return _with_train(data, items)


def _stuck(data: Data) -> Data:
    items = stored(data)
    items[:, :, 3, 3] = 0
    return _with_train(data, items)


def _few(n: int) -> Callable[[Data], Data]:
    return lambda data: _with_train(data, stored(data)[:n])


R, D = "ring8", "digits"
SHORT = {"steps": 1000}
PICTURES = {"steps": 600, "width": 16}
NS = {"objective": "nonsaturating", "penalty": "none"}

# Of GANs those that find all of the data in so few steps; others are ill, or not yet well, and the doctor says so.
HEALTHY = [
    Case("gan", "grid25", {"steps": 2000}),
    Case("ns-gan", R, SHORT),
    Case("ns-gan", "iris", SHORT),
    Case("ns-gan", "moons", SHORT),
    Case("wgan-gp", R, SHORT),
    Case("wgan-gp", "moons", SHORT),
    Case("gan", D, {**PICTURES, "steps": 1200}),
    Case("dcgan", D, {**PICTURES, "steps": 1200}),
    Case("ns-gan", D, {**PICTURES, "steps": 1000}),
    Case("vae", "moons", SHORT),
    Case("vae", "iris", {"steps": 600}),
    Case("mlp-vae", D, SHORT),
    Case("vae", D, PICTURES),
    Case("cvae", D, PICTURES),
    Case("conv-ae", D, PICTURES),
    Case("deep-ae", D, {"steps": 1000}),
    Case("deep-ae", "iris", {"steps": 600}),
    Case("linear-ae", D, SHORT),
    Case("realnvp", "moons", {"steps": 800}),
    Case("made", "moons", {"steps": 800}),
]

COLLAPSE = ("spread", "rank", "support", "missing modes")
FAULTS = [
    Case("gan", R, {**SHORT, "lr": {"discriminator": 2e-3, "generator": 1e-12}}, "the generator's rate is 1e-12",
         ("not moving",)),
    Case("ns-gan", R, {**SHORT, "lr": {"discriminator": 1e-12, "generator": 2e-3}},
         "the discriminator's rate is 1e-12", ("not moving",)),
    Case("ns-gan", R, SHORT, "the generator ignores z", COLLAPSE, _spoilt("generator", before=_nothing), onset=0.5),
    Case("ns-gan", "moons", SHORT, "the generator's output is times 0", (*COLLAPSE, "vanishing gradients"),
         _spoilt("generator", after=_nothing), onset=0.4),
    Case("ns-gan", R, SHORT, "one mode of 8 is dropped", ("missing modes",), _blind_to_modes(1)),
    Case("gan", "grid25", {"steps": 1500}, "five modes of 25 are dropped", ("missing modes",), _blind_to_modes(5)),
    Case("gan", "moons", {**SHORT, "lr": 1.0}, "a rate of 1",
         ("long steps", "critic runs away", "vanishing gradients")),
    Case("deep-ae", D, {"steps": 600, "lr": 1.0}, "a rate of 1", ("long steps", "diverges", "code ignored")),
    Case("wgan-gp", R, {**SHORT, "penalty_weight": 1e-9}, "the critic's slopes are free", ("critic runs away",)),
    Case("ns-gan", D, {**PICTURES, **NS, "n_critic": 3, "lr": {"discriminator": 1e-3, "generator": 1e-6}},
         "the discriminator is far too strong", ("discriminator wins", "discriminator memorises")),
    Case("ns-gan", D, {**PICTURES, **NS, "lr": 1e-3, "steps": 900}, "20 training images, no penalty",
         ("discriminator memorises",), spoil=_few(20)),
    Case("ns-gan", "moons", {"steps": 600}, "a loss that is not a number", ("not finite",), _not_a_number, onset=0.5),
    Case("gan", D, PICTURES, "samples are training images", ("copies",), _copying),
    Case("gan", D, PICTURES, "samples have an empty border", ("flat border",), _spoilt("generator", after=_borderless)),
    Case("vae", "moons", {**SHORT, "beta": 50.0, "free_bits": 0.0}, "beta is 50",
         ("posterior collapse", "code ignored")),
    Case("mlp-vae", D, {**SHORT, "beta": 50.0}, "beta is 50", ("posterior collapse", "code ignored")),
    Case("mlp-vae", D, SHORT, "the decoder ignores z", ("code ignored", "posterior collapse"),
         _spoilt("decoder", before=_nothing), onset=0.4),
    Case("mlp-vae", D, SHORT, "the first layer's units die", ("dead units",), _dying, onset=0.4),
    Case("mlp-vae", D, {"steps": 1500}, "60 training images", ("learns by heart", "copies"), spoil=_few(60)),
    Case("realnvp", "moons", {"steps": 1000}, "60 training points", ("learns by heart", "copies"), spoil=_few(60)),
    Case("vae", "moons", {"steps": 100}, "half of the training points twice", ("duplicates",), spoil=_repeated),
    Case("conv-ae", D, {"steps": 40}, "a third of the held-out images in the training split", ("leak",),
         spoil=_leaking),
    Case("conv-ae", D, {"steps": 40}, "a dead pixel in the middle", ("stuck pixels",), spoil=_stuck),
]  # fmt: skip
