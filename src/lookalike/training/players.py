"""One step of a game: each turn's loss moves its player, then the next turn is asked for.

    for player, loss in model.turns(x, y, step):
        g = d loss / d player                     # only this player's gradient is computed
        g = g * min(1, clip * n / |g|)            # n: running norm of the player's gradient
        player = optimiser(player, g)

All randomness of a step is a function of (seed, step, rank), so no random state needs to be saved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from ..data.base import hash_seed
from ..errors import UserError
from ..models.base import Model, Turn
from ..recipe import Training
from .device import set_seed
from .muon import Muon
from .processes import ALONE, Team, average_gradients

NORM_DECAY = 0.98  # of the running norm: it forgets in about 50 steps


class NonFinite(Exception):  # noqa: N818  (an event the loop answers, not an error it reports)
    """A loss or gradient that is not a number; says whose and where."""


class Player:
    """Parameters, their optimiser, and the running norm of their gradient."""

    def __init__(self, name: str, module: nn.Module, lr: float, numbers: Training) -> None:
        self.name = name
        self.names = [n for n, p in module.named_parameters() if p.requires_grad]
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.lr = lr
        self.clip = numbers.clip
        self.optimiser = _optimiser(self.parameters, self.lr, numbers)
        self.norm = self.parameters[0].detach().new_zeros(())  # 0: none yet

    def move(self, rate: float, team: Team) -> Tensor:
        """Step along the gradients that stand in the parameters; returns their norm, shape ()."""
        average_gradients(self.parameters, team)
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        if norm.device.type == "cpu" and not math.isfinite(norm.item()):
            raise NonFinite(f"the gradient of {self.name}'s {self._first_bad()} is not finite")
        if self.clip > 0:
            limit = torch.where(self.norm > 0, self.clip * self.norm, math.inf)
            scale = (limit / norm).clamp(max=1.0)
            # Asking a GPU whether to scale would stall it; there, multiplying by 1 is cheaper.
            if norm.device.type != "cpu" or scale < 1:
                torch._foreach_mul_(gradients, scale)
            self.norm = torch.where(self.norm > 0, torch.lerp(torch.minimum(norm, limit), self.norm, NORM_DECAY), norm)
        for group in self.optimiser.param_groups:
            group["lr"] = self.lr * rate
        self.optimiser.step()
        return norm

    def _first_bad(self) -> str:
        for name, p in zip(self.names, self.parameters, strict=True):
            if p.grad is not None and not p.grad.isfinite().all():
                return name
        return "parameters (in sum)"


def rates(model: Model, numbers: Training) -> dict[str, float]:
    """The learning rate of each player of a model.

    Raises:
        UserError: the rates name other players than the model has.
    """
    names = list(model.players())
    if not isinstance(numbers.lr, Mapping):
        return dict.fromkeys(names, numbers.lr)
    if set(numbers.lr) != set(names):
        raise UserError(
            f"lr names {', '.join(numbers.lr)}, but the players of {type(model).__name__} are {', '.join(names)}: "
            "give one rate for all, or one for each."
        )
    return {name: numbers.lr[name] for name in names}


def play(
    model: Model,
    players: Mapping[str, Player],
    x: Tensor,
    y: Tensor | None,
    *,
    step: int,
    rate: float = 1.0,
    seed: int = 0,
    accumulate: int = 1,
    watched: bool = False,
    context: Callable[[], AbstractContextManager[object]],
    team: Team = ALONE,
) -> dict[str, Tensor]:
    """Play one step; returns what the turns logged, and each player's loss and gradient norm, shape ().

    Arguments:
        rate: what the learning rates are multiplied by at this step.
        accumulate: chunks the batch is played in, in lock step; their gradients add up to the batch's.
        watched: whether how far each player moves is to be logged too, in lengths of its weights.
        context: makes the context the losses are computed in (autocast).

    Raises:
        NonFinite: a loss or gradient was not finite, before it moved anything (known at once on a CPU).
    """
    set_seed(hash_seed(seed, step, team.rank), x.device)
    chunks = x.chunk(accumulate)
    ys = [None] * len(chunks) if y is None else y.chunk(accumulate)
    games = [under(context, model.turns(chunk, labels, step)) for chunk, labels in zip(chunks, ys, strict=True)]
    shares = [len(chunk) / len(x) for chunk in chunks]
    logs: dict[str, Tensor] = {}
    while (turn := next(games[0], None)) is not None:
        player = players[turn.player]
        suffix = "" if len(players) == 1 else f"_{player.name}"
        player.optimiser.zero_grad(set_to_none=True)
        for i, (game, share) in enumerate(zip(games, shares, strict=True)):
            # A chunk's graph is gone before the next one is made: that is what saves memory.
            turn = next(game) if i else turn
            # With company the gradient's mean tells all at once; to raise alone would leave the others waiting.
            if x.device.type == "cpu" and team.world == 1 and not math.isfinite(turn.loss.item()):
                raise NonFinite(f"the loss of {player.name} is {turn.loss.item()}")
            (turn.loss if share == 1 else turn.loss * share).backward(inputs=player.parameters)
            for name, value in {f"loss{suffix}": turn.loss, **turn.logs}.items():
                value = value.detach().float()
                mean = value.mean() if value.dim() else value  # each small call counts: they are 1 % of a small step
                logs[name] = mean if len(shares) == 1 else logs.get(name, 0) + mean * share
        before = [p.detach().clone() for p in player.parameters] if watched else []
        logs[f"gradient_norm{suffix}"] = player.move(rate, team)
        if watched:
            logs[f"update_ratio{suffix}"] = moved(before, player.parameters)
    return logs


@torch.no_grad()
def moved(before: list[Tensor], after: list[nn.Parameter]) -> Tensor:
    """|new - old| / |old| of all weights of a player, shape ()."""
    length = torch.stack(torch._foreach_norm(before)).norm()
    step = torch.stack(torch._foreach_norm(torch._foreach_sub([*after], before))).norm()
    return step / length.clamp(min=1e-12)


def under(context: Callable[[], AbstractContextManager[object]], turns: Iterator[Turn]) -> Iterator[Turn]:
    """The same turns, each computed inside a context that is left before its gradient is taken."""
    while True:
        with context():
            turn = next(turns, None)
        if turn is None:
            return
        yield turn


def _optimiser(parameters: list[nn.Parameter], lr: float, numbers: Training) -> torch.optim.Optimizer:
    # Fused: one kernel for all parameters, which on a CPU too is worth a quarter of a small model's step.
    fused: dict[str, Any] = {"fused": parameters[0].device.type in ("cpu", "cuda", "mps")}
    if numbers.optimiser == "sgd":
        return torch.optim.SGD(parameters, lr, momentum=numbers.betas[0], weight_decay=numbers.weight_decay, **fused)
    if numbers.optimiser == "rmsprop":  # has no fused form
        return torch.optim.RMSprop(parameters, lr, alpha=numbers.betas[1], weight_decay=numbers.weight_decay)
    betas = (float(numbers.betas[0]), float(numbers.betas[1]))
    adam = Muon if numbers.optimiser == "muon" else torch.optim.AdamW
    return adam(parameters, lr, betas=betas, weight_decay=numbers.weight_decay, **fused)
