"""Several processes as one: what `torchrun` starts, joined by `torch.distributed`.

Each process plays the game on its part of the batch and the gradients are averaged after `backward`;
so two processes equal one with the doubled batch. Averaging there, not in a wrapper around the model,
allows any number of forward passes, gradient penalties, and losses that call any method.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..errors import UserError

T = TypeVar("T")


class Team(NamedTuple):
    """Which process this is, and of how many."""

    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """The leader alone writes, draws and speaks."""
        return self.rank == 0


ALONE = Team()


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[Team]:
    """The team `torchrun` made, for the time of a training; a team of one without it."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 or dist.is_initialized():
        yield Team(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else ALONE
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Team(dist.get_rank(), world)
        dist.barrier()  # the launcher may end all when the first has ended
    finally:
        dist.destroy_process_group()


def own_device(device: torch.device) -> torch.device:
    """The device of this process: each local rank its own GPU."""
    rank = os.environ.get("LOCAL_RANK")
    return torch.device("cuda", int(rank)) if device.type == "cuda" and rank else device


def average_gradients(parameters: Sequence[nn.Parameter], team: Team) -> None:
    """Replace each gradient by its mean over the team, in one message.

    A parameter that no process's loss reached has no gradient and keeps none; one that only some
    reached counts as zero elsewhere (a gradient penalty leaves a bias without a gradient).
    """
    if team.world == 1 or not parameters:
        return
    reached = torch.tensor([float(p.grad is not None) for p in parameters], device=parameters[0].device)
    dist.all_reduce(reached, op=dist.ReduceOp.MAX)
    used = [p for p, there in zip(parameters, reached.tolist(), strict=True) if there]
    for p in used:
        p.grad = torch.zeros_like(p) if p.grad is None else p.grad
    flat = torch.cat([_grad(p).flatten() for p in used])
    dist.all_reduce(flat)
    flat /= team.world
    for p, mean in zip(used, flat.split([p.numel() for p in used]), strict=True):
        _grad(p).copy_(mean.view_as(p))


@torch.no_grad()
def follow_leader(tensors: Sequence[Tensor], team: Team) -> None:
    """Give every process the leader's values, in place."""
    if team.world > 1:
        for tensor in tensors:
            dist.broadcast(tensor, src=0)


def led(do: Callable[[], T], team: Team, device: torch.device) -> T | None:
    """What the leader does while the others wait, None for them.

    Raises:
        UserError: the leader made a mistake; all stop, since one that waits for it would wait for ever.
    """
    done, mistake = None, None
    if team.leads:
        try:
            done = do()
        except UserError as error:
            mistake = error
    (sound,) = agreed([float(mistake is None)], team, device)
    if not sound:
        raise mistake or UserError("the first process could not begin, and says why.")
    return done


def agreed(values: Sequence[float], team: Team, device: torch.device) -> list[float]:
    """The leader's clock and wishes, so that all stop and save at the same step."""
    if team.world == 1:
        return list(values)
    said = torch.tensor(values, dtype=torch.float64, device=device)
    dist.broadcast(said, src=0)
    return said.tolist()


def _grad(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
