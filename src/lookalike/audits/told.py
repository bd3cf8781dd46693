"""What a GAN's discriminator tells beside its logit, an item's class or the code it was made of, moves both players.

    with and without what is told, the gradient of each player's loss differs by that of

        D:   w (-log P(y | real) - log P(y | fake)) - lambda log Q(c | fake),   fake standing still
        G:   -w log P(y | fake)                     - lambda log Q(c | fake),   through fake

as written here, with the distributions of torch, on the same codes. An information term without a gradient to the
generator is the fault of many a copy of InfoGAN: Q then reads the codes of samples that do not show them, and the
bound stays at 0.

Odena et al. (2017), arXiv:1610.09585, eq. 2 and 3; Chen et al. (2016), arXiv:1606.03657, eq. 5 and 6.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor
from torch.distributions import Categorical, Normal

from ..models.base import seeded
from ..models.implicit.gan.gan import GAN
from .base import Finding, Subject, UnfitError

Gradients = dict[str, list[Tensor]]
"""Of each player's parameters."""


def heads(subject: Subject) -> Finding:
    """The gradients of what is told against their own formula; one that is 0 for a player is a fault."""
    if not isinstance(subject.model, GAN) or not subject.model.told.outputs:
        raise UnfitError(f"{type(subject.model).__name__} has no discriminator that tells a class or a code")
    model = copy.deepcopy(subject.model).double()
    model.n_critic = 1
    z = model.prior(len(subject.x), seed=subject.seed)
    model.prior = lambda *_, **__: z  # type: ignore[method-assign]
    told = model.told
    found = _of_turns(model, subject)
    model.told = told._replace(class_weight=0.0, info_weight=0.0)
    without = _of_turns(model, subject)
    model.told = told
    exact = _of_formula(model, subject, z)
    off = 0.0
    for player, gradients in exact.items():
        force = max(g.abs().max().item() for g in gradients)
        apart = [a - b - g for a, b, g in zip(found[player], without[player], gradients, strict=True)]
        off = max(off, max(g.abs().max().item() for g in apart) / force if force > 0 else math.inf)
    names = [name for name, there in (("classes", told.classes), ("codes", told.codes.width)) if there]
    return Finding(off, 1e-6, f"gradients to both players by {' and '.join(names)}, against their formula, relative")


def _of_turns(model: GAN, subject: Subject) -> Gradients:
    """Of the losses of one step, in which nobody moves."""
    with seeded(subject.seed, model.device):
        turns = list(model.turns(subject.x.double(), subject.y, 0))
    return {turn.player: _gradients(turn.loss, model, turn.player) for turn in turns}


def _of_formula(model: GAN, subject: Subject, z: Tensor) -> Gradients:
    y, classes = subject.y, model.told.classes
    with seeded(subject.seed, model.device):  # samples, and then data, are changed by the same draws as in a step
        fake = model.view(model.generate(z, y), 0)
        real = model.view(model.door.enter(subject.x.double()), 0)
    still, moving, of_data = (model.opinion(h, y)[1] for h in (fake.detach(), fake, real))
    found = {"discriminator": _code_loss(model, still, z), "generator": _code_loss(model, moving, z)}
    if classes and y is not None:
        weight = model.told.class_weight
        real_loss, still_loss, moving_loss = (
            -weight * Categorical(logits=said[:, :classes]).log_prob(y).mean() for said in (of_data, still, moving)
        )
        found["discriminator"] = found["discriminator"] + real_loss + still_loss
        found["generator"] = found["generator"] + moving_loss
    return {player: _gradients(loss, model, player) for player, loss in found.items()}


def _code_loss(model: GAN, said: Tensor, z: Tensor) -> Tensor:
    """-lambda log Q(c | x), the mean over items, shape ()."""
    codes, c = model.told.codes, z[:, z.shape[1] - model.told.codes.width :]
    log_q, at, said = said.new_zeros(len(z)), 0, said[:, model.told.classes :]
    for K in codes.categories:
        log_q = log_q + Categorical(logits=said[:, at : at + K]).log_prob(c[:, at : at + K].argmax(1))
        at += K
    return -model.told.info_weight * (log_q + Normal(said[:, at:], 1.0).log_prob(c[:, at:]).sum(1)).mean()


def _gradients(loss: Tensor, model: GAN, player: str) -> list[Tensor]:
    parameters = [p for p in model.players()[player].parameters() if p.requires_grad]
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]
