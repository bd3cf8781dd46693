"""What metrics may ask for, gathered of a model and data, by the words of `lookalike.metrics.table`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ..data.base import Data, Split, hash_seed
from ..metrics.features import Space
from ..models.base import Bounded, Coded, Encoder, Explicit, Implicit, Latent, Model, Weighed, seeded
from ..models.tractable.flow.flow import Flow
from ..nn.doors import missing
from ..nn.memory import items_at_once, onto
from ._compared import COMPARED, OF_TRAIN, Compared

OF_ONE_DRAW = {"log_weights": "importance_log_prob"}
"""Words whose random numbers are those of another."""

WEIGHTS = 2**24
"""Importance weights held at once: 128 MB."""

SplitName = Literal["valid", "test", "train"]
Teller = Callable[[int, int], None]
"""Told how much is done, and of how much."""


def quiet(_what: str) -> Teller:
    """Progress that nobody is told of."""
    return lambda _done, _total: None


@dataclass(frozen=True)
class How:
    """How to measure: the arguments of `evaluate`, checked; `drawing` are those of `sample` for its samples."""

    split: SplitName
    samples: int
    importance_samples: int
    limit: int | None
    seed: int
    progress: Callable[[str], Teller] = quiet
    cache: Path | None = None
    drawing: Mapping[str, Any] | None = None

    def items(self, data: Data) -> int:
        n = len(data.splits[self.split])
        return n if self.limit is None else min(n, self.limit)


class Evidence:
    """What metrics may ask for, by the words of `lookalike.metrics.table`."""

    def __init__(self, model: Model, data: Data, how: How, space: Space) -> None:
        self.model = model
        self.data = data
        self.how = how
        self.chunk = items_at_once(data.spec.dims)
        self._weighed: tuple[Tensor, Tensor] | None = None
        self.compared = Compared(model, data, how, space, self.chunk)
        self.item: Mapping[str, Callable[[Tensor, Tensor | None], Tensor]] = {
            "x": lambda x, _: self._measured(x, x),
            "x_hat": self._x_hat,
            "log_prob": self._log_prob,
            "exact_log_prob": self._log_prob,
            "importance_log_prob": self._importance_log_prob,
            "log_weights": self._log_weights,
            "log_density": lambda x, _: self._log_density(x),
            "code": self._code,
        }

    def walk(self, words: set[str]) -> Iterator[dict[str, Tensor]]:
        """The words that are of items, for a chunk of the split at a time, on the CPU."""
        wanted = {word: give for word, give in self.item.items() if word in words}
        split, device, seed = self.data.splits[self.how.split], self.model.device, self.how.seed
        done, told = 0, self.how.progress("measuring")
        for x, y in self._chunks(split, self.how.limit) if wanted else ():
            found = {}
            for word, give in wanted.items():
                # Each word has random numbers of its own: what else is asked for does not move a bound.
                with seeded(hash_seed(seed, OF_ONE_DRAW.get(word, word), done), device):
                    found[word] = give(x, y).cpu()
            yield found
            done += len(x)
            told(done, self.how.items(self.data))

    def whole(self, words: set[str]) -> dict[str, Any]:
        """The words that are of all items or of none."""
        found: dict[str, Any] = {"dims": self.data.spec.dims}
        if self.data.modes is not None:
            found["modes"], found["sigma"] = self.data.modes
        return found | self.compared.gather(words)

    def _chunks(self, split: Split, limit: int | None) -> Iterator[tuple[Tensor, Tensor | None]]:
        for x, y in split.thinned(limit).all(None, self.chunk, self.how.seed):
            yield onto(x, self.model.device), None if y is None else y.to(self.model.device)

    def _log_prob(self, x: Tensor, y: Tensor | None) -> Tensor:
        assert isinstance(self.model, Explicit)
        return self.model.log_prob(x, y).cpu().double()

    def _importance_log_prob(self, x: Tensor, y: Tensor | None) -> Tensor:
        assert isinstance(self.model, Bounded)
        k = self.how.importance_samples
        if not isinstance(self.model, Weighed):
            return self.model.log_prob(x, y, samples=k).cpu().double()
        return self._log_weights(x, y).logsumexp(1) - math.log(k)

    def _log_weights(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Shape (B, importance samples); the bound and how many samples count are of the same weights."""
        assert isinstance(self.model, Weighed)
        if self._weighed is None or self._weighed[0] is not x:
            k = self.how.importance_samples
            size = max(1, WEIGHTS // k)  # of items: how many draws go through the networks at once, the model knows
            labels = [None] * math.ceil(len(x) / size) if y is None else y.split(size)
            parts = [
                self.model.log_weights(part, label, samples=k).t().cpu().double()
                for part, label in zip(x.split(size), labels, strict=True)
            ]
            self._weighed = x, torch.cat(parts)
        return self._weighed[1]

    def _log_density(self, x: Tensor) -> Tensor:
        assert self.data.log_density is not None
        return self.data.log_density(x.cpu())

    def _x_hat(self, x: Tensor, y: Tensor | None) -> Tensor:
        assert isinstance(self.model, Encoder)
        return self._measured(self.model.reconstruct(x, y), x)

    def _code(self, x: Tensor, y: Tensor | None) -> Tensor:
        assert isinstance(self.model, Encoder)
        return self.model.encode(x, y)

    def _measured(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """As reconstructions are compared: images as they are, rows at the door; what x lacks does not count."""
        if self.data.spec.kind == "images":
            return x_hat
        door = self.model.door
        h, h_hat = door.enter(x), door.enter(x_hat)
        for field in door.fields:
            if field.real and field.gate >= 0:
                h_hat[:, field.start] = h_hat[:, field.start].masked_fill(missing(h, field), 0.0)
        return h_hat


DENSITIES = {"log_prob", "exact_log_prob", "importance_log_prob", "log_weights"}
"""Words that log p(x) is behind."""
SAMPLED = COMPARED
"""Words of the evidence that need samples, or are compared with them."""


def absent(model: Model, data: Data, split: SplitName, space: Space) -> dict[str, str]:
    """Evidence that this model, this data or this feature space cannot give, and why, in a user's words."""
    why = _absent_of_samples(model, data, split, space)
    name = type(model).__name__
    if not isinstance(model, Bounded) or model.exact:
        why["importance_log_prob"] = f"{name} has no bound that more samples would tighten"
    why.update({} if isinstance(model, Weighed) else {"log_weights": f"{name} has no importance weights"})
    if not isinstance(model, Encoder):
        why["x_hat"] = f"{name} has no encoder, so nothing is reconstructed"
    if not (isinstance(model, Bounded) and isinstance(model, Encoder)) or model.exact:
        why["code"] = f"{name} has no posterior of a code"
    if isinstance(model, Coded):
        why["importance_log_prob"] = f"the posterior of {name} is certain of its code: more samples tighten nothing"
        why["code"] = f"the code of {name} is of levels, not of numbers with a variance"
    if isinstance(model, Explicit) and model.exact:
        why["log_weights"] = f"{name} needs no importance weights: log p(x) is exact"
    if isinstance(model, Explicit) and not model.exact:
        why["exact_log_prob"] = f"{name} has only a lower bound on log p(x)"
    if model.conditional:
        why["exact_log_prob"] = f"{name} has log p(x | label), not log p(x)"
    if not isinstance(model, Explicit | Implicit):
        why.update(dict.fromkeys(SAMPLED, f"{name} has no prior on its code, so nothing can be drawn from it"))
    if not isinstance(model, Explicit):
        why.update(dict.fromkeys(DENSITIES, f"{name} has no density log p(x)"))
    if model.conditional and data.splits[split].y is None:
        without = f"{name} is conditional and {data.name} has no labels"
        why.update(dict.fromkeys((*SAMPLED, *DENSITIES, "x_hat", "code"), without))
    if data.log_density is None:
        why["log_density"] = f"the true density of {data.name} is not known"
    if data.modes is None:
        why["modes"] = f"{data.name} is not known to have separate modes"
    return why


def _absent_of_samples(model: Model, data: Data, split: SplitName, space: Space) -> dict[str, str]:
    why: dict[str, str] = {}
    name = type(model).__name__
    if not space.classes:
        why["fake_logits"] = (
            f"{space.name} gives no class logits: take --features efficientnet-lite0, or your own that does"
        )
    if data.train.y is None:
        why["class_shares"] = f"{data.name} has no labels"
    elif space.classes != len(data.spec.classes):
        why["class_shares"] = (
            f"{space.name} is no classifier of the {len(data.spec.classes)} classes of {data.name}: "
            "take --features with a network of your own that gives their logits"
        )
    of_numbers = isinstance(model, Latent) and not isinstance(model, Coded)
    if not of_numbers:
        why["path"] = f"{name} has no code of numbers to move along"
    elif isinstance(model, Flow) and not model.exact:
        why["path"] = f"{name} decodes to levels, which jump"
    elif isinstance(model, Implicit) and not model.truncates:
        why["path"] = f"the prior of {name} is not normal, and great circles join draws of one that is"
    if split == "train":
        themselves = "the items measured on are the training split themselves"
        why.update(dict.fromkeys(("train_moments", *OF_TRAIN), themselves))
    return why
