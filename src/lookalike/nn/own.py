"""A network checked once against the shapes a model needs, since it may be the user's own."""

from __future__ import annotations

import torch
from torch import nn

from ..errors import UserError


def checked(
    network: nn.Module, name: str, takes: tuple[int, ...], gives: tuple[int, ...], *, labels: bool = False
) -> nn.Module:
    """`network`, if it turns (B, *takes), and labels (B,) where it is given them, into (B, *gives).

    Raises:
        UserError: it gives another shape, or cannot take what it would be given.
    """
    like = next(network.parameters(), torch.empty(0))
    training = network.training
    given = (like.new_zeros(2, *takes), *([torch.zeros(2, dtype=torch.long, device=like.device)] if labels else []))
    try:
        with torch.no_grad():
            found = tuple(network.eval()(*given).shape)
    except RuntimeError as error:
        raise UserError(f"the {name} cannot take numbers of shape (B, {_words(takes)}): {error}") from error
    finally:
        network.train(training)
    if found[1:] != gives:
        raise UserError(f"the {name} gives shape (B, {_words(found[1:])}), but the model needs (B, {_words(gives)}).")
    return network


def _words(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
