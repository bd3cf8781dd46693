"""A recipe trained on data in memory by the one loop: no folder is written, and nothing is said unless asked.

`Same` makes what a fitted model says of an item depend on that item alone: where a model draws noise to score (the
bound of a VAE), every item of a batch is given the same draw. The mean over items stays unbiased, and a score neither
changes with the order of the rows nor with what else is asked.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..data.base import Data
from ..models.base import Model, seeded
from ..nn.memory import items_at_once, onto
from ..recipe import Recipe
from ..training.device import find_device
from ..training.examine import ITEMS, held_out
from ..training.loop import fit
from ..training.progress import Line

LOCK = RLock()
"""Held while random numbers are drawn: torch has one generator for all threads, as of `GridSearchCV` on threads."""


class Learnt(NamedTuple):
    """A trained model in eval mode, how many steps it took, and its figure on held-out rows, if there are such."""

    model: Model
    steps: int
    figures: dict[str, float]


def learn(recipe: Recipe, data: Data, seed: int, device: str, verbose: bool) -> Learnt:
    """Train a resolved recipe.

    Random numbers elsewhere are left as if nothing had been drawn. Where rows are held out, the weights of the
    milestone that was best on them are kept, as `lookalike train` keeps them.
    """
    place = find_device(device)
    with LOCK, seeded(seed, place):
        model = recipe.model(data.spec)
        best = Best(data, seed) if len(data.valid) else None
        line = Line(recipe.name, shown=verbose)
        # In float32: at the size of such networks bfloat16 is slower, converting and all.
        state = fit(model, data, recipe.numbers, seed=seed, device=place, precision="float32", examine=best, line=line)
        trained = state.average.eval()
        figures = best.restore(trained) if best is not None else {}
    return Learnt(trained, state.step, figures)


class Best:
    """Measures the averaged model at each milestone, and keeps the weights with the best figure."""

    def __init__(self, data: Data, seed: int) -> None:
        self.data, self.seed = data, seed
        self.figures: dict[str, float] = {}
        self.weights: dict[str, Tensor] = {}

    @torch.inference_mode()
    def __call__(self, model: Model, step: int, last: bool) -> dict[str, float]:
        figures = held_out(model, self.data, ITEMS, self.seed)
        if not model.keeps_best or _worth(figures) <= _worth(self.figures):
            self.figures = figures
            self.weights = copy.deepcopy(model.state_dict()) if model.keeps_best and figures and not last else {}
        return figures

    def restore(self, model: Model) -> dict[str, float]:
        """Give the model the weights that were best; returns their figures."""
        if self.weights:
            model.load_state_dict(self.weights)
        return self.figures


def _worth(figures: dict[str, float]) -> float:
    """What is to be small: the figure, infinite where there is none or it is no number."""
    figure = next(iter(figures.values()), torch.inf)
    return figure if figure == figure else torch.inf


def exact(model: Model) -> Model:
    """A copy that computes rows in float64, so that what it says of one does not hang on how many are asked at once.

    Of images the model itself: twice the time would be too much.
    """
    if model.spec.kind == "images":
        return model
    return copy.deepcopy(model).cpu().double() if model.device.type == "mps" else copy.deepcopy(model).double()


def of_each(model: Model, x: Tensor, of: Callable[[Tensor], Tensor], seed: int) -> Tensor:
    """`of` of each item of x, some at a time on the model's device; float64, on the CPU, whatever else is in x."""
    found = []
    for part in x.split(items_at_once(model.spec.dims)):
        with alike(model, seed):
            found.append(of(onto(part, model.device)).cpu())
    return torch.cat(found).double()


@contextmanager
def alike(model: Model, seed: int) -> Iterator[None]:
    """No gradients, and the noise of a seed, the same for each item of a batch."""
    with LOCK, torch.no_grad(), seeded(seed, model.device), Same():  # a search for codes takes gradients of its own
        yield


class Same(TorchFunctionMode):
    """What is drawn for a batch is drawn for one item of it, and all of them have that."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (torch.randn, torch.rand) and args:
            size = args if isinstance(args[0], int) else args[0]
            return func((1, *size[1:]), **kwargs).repeat(size[0], *[1] * (len(size) - 1))
        if func in (torch.randn_like, torch.rand_like) and args[0].dim():
            return func(args[0][:1], **kwargs).repeat(len(args[0]), *[1] * (args[0].dim() - 1))
        if func is Tensor.normal_ and args[0].dim():
            return args[0].copy_(func(args[0][:1].clone(), *args[1:], **kwargs))
        return func(*args, **kwargs)
