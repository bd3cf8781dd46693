"""Our step without our loop: what a careful person would write for this one model.

The same batches (`index_select` on bytes), the same precision and layout, fused AdamW, a gradient clipped by
its running norm, an average of the weights every eighth step, and a look at whether the loss is finite.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from lookalike.models.base import Model
from lookalike.recipe import Training
from lookalike.training.device import autocast, keep_memory, suits_bf16
from lookalike.training.ema import EVERY, averaged
from lookalike.training.loop import place


def train(model: Model, items: Tensor, numbers: Training, device: torch.device) -> Iterator[None]:
    """Train a model of one player for ever; yields after each step."""
    keep_memory()
    model, items = place(model, device), items.to(device)
    average = averaged(model, numbers.ema)
    parameters = list(model.parameters())
    optimiser = torch.optim.AdamW(parameters, numbers.lr, numbers.betas, weight_decay=0.0, fused=True)
    context = autocast(device, suits_bf16(model, device))
    norm, step = 0.0, 0
    while True:
        order = torch.randperm(len(items))
        for chosen in order.split(numbers.batch_size)[: len(items) // numbers.batch_size]:
            x = items.index_select(0, chosen.to(device))
            if model.spec.levels:
                x = x.float() / (model.spec.levels - 1)
                x = x.contiguous(memory_format=torch.channels_last) if model.channels_last else x
            with context():
                (turn,) = model.turns(x, step=step)
            optimiser.zero_grad()
            if not math.isfinite(turn.loss.item()):
                raise FloatingPointError("the loss is not finite")
            turn.loss.backward()
            limit = numbers.clip * norm if norm else math.inf
            now = torch.nn.utils.clip_grad_norm_(parameters, limit).item()
            norm = 0.98 * norm + 0.02 * min(now, limit) if norm else now
            optimiser.step()
            if step % EVERY == 0:
                average.update_parameters(model)
            step += 1
            yield
