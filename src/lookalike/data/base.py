"""What is learnt from: three splits, what is known of them, and batches that depend on (seed, step) only.

A batch is a pure function of the split, the seed and the step. So a run resumes at any step without
having saved a place in the data, several processes take their slices of one batch, and items held in
memory and items decoded from files as they are needed give the same batches.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..spec import Spec


class Source(Protocol):
    """Where the items of a split are: `take` gives them as stored (uint8 images, float64 rows)."""

    def __len__(self) -> int: ...

    def take(self, indices: Tensor) -> Tensor:
        """Items as stored, shape (len(indices), *shape)."""
        ...


class InMemory:
    """Items in one tensor, on whatever device it is moved to."""

    def __init__(self, items: Tensor) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def take(self, indices: Tensor) -> Tensor:
        return self.items.index_select(0, indices.to(self.items.device))


class Joined:
    """Several sources as one: item i is item `order[i]` of all of theirs one after another."""

    def __init__(self, sources: Sequence[Source], order: Tensor) -> None:
        self.sources = sources
        self.order = order

    def __len__(self) -> int:
        return len(self.order)

    def take(self, indices: Tensor) -> Tensor:
        places = self.order[indices.cpu()]
        taken, whence, start = [], [], 0
        for source in self.sources:
            mine = ((places >= start) & (places < start + len(source))).nonzero().squeeze(1)
            taken.append(source.take(places[mine] - start))
            whence.append(mine)
            start += len(source)
        items = torch.cat(taken)
        return items[torch.cat(whence).argsort().to(items.device)]


@dataclass(frozen=True)
class Part:
    """Some items of a source, as a source."""

    source: Source
    indices: Tensor

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, indices: Tensor) -> Tensor:
        return self.source.take(self.indices[indices.cpu()])


class Split:
    """Items of one split, and their labels where there are any.

    Arguments:
        source: the items as stored: images uint8 k in 0 ... levels - 1, points and rows float64.
        y: labels, int64, shape (N,), or None.
        levels: of images; 0 for points and rows.
        binarize: "dynamic": a binary image is drawn anew each time, P(1) = intensity; "threshold": 1
            from half the range up; otherwise intensities as they are.
        weights: how often each item is drawn for a batch, shape (N,); None for each once in an epoch.
    """

    def __init__(
        self,
        source: Source,
        y: Tensor | None = None,
        *,
        levels: int = 0,
        binarize: str | None = None,
        weights: Tensor | None = None,
    ) -> None:
        self.source = source
        self.y = y
        self.levels = levels
        self.binarize = binarize
        self.weights = weights

    def __len__(self) -> int:
        return len(self.source)

    def to(self, device: torch.device | str) -> Split:
        """The same split with what is in memory moved to `device`."""
        source = InMemory(self.source.items.to(device)) if isinstance(self.source, InMemory) else self.source
        y = None if self.y is None else self.y.to(device)
        return Split(source, y, levels=self.levels, binarize=self.binarize, weights=self.weights)

    def batch(self, indices: Tensor, seed: int = 0) -> tuple[Tensor, Tensor | None]:
        """The items at `indices` as a model takes them, and their labels.

        Arguments:
            seed: of dynamic binarisation; each item's draw depends on it and on nothing else of the batch
                but its place.

        Returns:
            x, images in [0, 1] float32 or rows float64, shape (B, *shape); y, shape (B,), or None.
        """
        return self._finish(self.source.take(indices), indices, seed)

    def thinned(self, n: int | None) -> Split:
        """n items spread evenly over the split, or all where there are no more or n is None.

        The first n would not do for a measure: data are often sorted by class, as the test split of mnist-static is.
        """
        if n is None or n >= len(self):
            return self
        chosen = torch.arange(n) * len(self) // n
        source: Source = Part(self.source, chosen)
        if isinstance(self.source, InMemory):
            source = InMemory(self.source.take(chosen))
        y = None if self.y is None else self.y[chosen.to(self.y.device)]
        return Split(source, y, levels=self.levels, binarize=self.binarize)

    def all(self, limit: int | None = None, chunk: int = 1000, seed: int = 0) -> Iterator[tuple[Tensor, Tensor | None]]:
        """The first `limit` items in order, in chunks."""
        n = len(self) if limit is None else min(limit, len(self))
        for start in range(0, n, chunk):
            yield self.batch(torch.arange(start, min(start + chunk, n)), seed=hash_seed(seed, start))

    def first(self, n: int, seed: int = 0) -> tuple[Tensor, Tensor | None]:
        """The first n items (or all, if fewer) in one batch."""
        return self.batch(torch.arange(min(n, len(self))), seed)

    def batches(
        self, batch_size: int, seed: int, start: int = 0, *, rank: int = 0, world: int = 1, workers: int = 0
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Shuffled batches without end, from step `start` on; each epoch is a new permutation.

        Arguments:
            batch_size: over all processes; this one gets its part of each batch.
            rank, world: which process this is, and of how many.
            workers: threads that fetch ahead; 0 for items in memory.
        """
        indices = self._indices(batch_size, seed, start, rank, world)
        if workers == 0:
            for step, chosen in enumerate(indices, start):
                yield self.batch(chosen, hash_seed(seed, step, rank))
            return
        with ThreadPoolExecutor(workers) as pool:
            ahead: list[tuple[int, Tensor, Future[Tensor]]] = []
            for step, chosen in enumerate(indices, start):
                ahead.append((step, chosen, pool.submit(self.source.take, chosen)))
                if len(ahead) > 2 * workers:
                    done_step, done, items = ahead.pop(0)
                    yield self._finish(items.result(), done, hash_seed(seed, done_step, rank))

    def _indices(self, batch_size: int, seed: int, start: int, rank: int, world: int) -> Iterator[Tensor]:
        per_epoch = steps_per_epoch(len(self), batch_size)
        own = slice(rank * batch_size // world, (rank + 1) * batch_size // world)
        epoch, step = divmod(start, per_epoch)
        while True:
            generator = torch.Generator().manual_seed(hash_seed(seed, epoch))
            if self.weights is None:
                order = torch.randperm(len(self), generator=generator)
            else:  # the mean gradient is then that of the weighted loss
                order = torch.multinomial(self.weights, len(self), replacement=True, generator=generator)
            # A split smaller than a batch is repeated to fill it: the batch size never changes.
            if len(order) < batch_size:
                order = order.repeat(math.ceil(batch_size / len(order)))
            for i in range(step, per_epoch):
                yield order[i * batch_size : (i + 1) * batch_size][own]
            epoch, step = epoch + 1, 0

    def _finish(self, items: Tensor, indices: Tensor, seed: int) -> tuple[Tensor, Tensor | None]:
        y = None if self.y is None else self.y.index_select(0, indices.to(self.y.device))
        if self.levels == 0:
            return items, y
        if self.binarize == "dynamic":
            return (sixteen_bits(items.shape, seed).to(items.device) < at_odds(items, self.levels)).float(), y
        if self.binarize == "threshold":
            return (items >= self.levels / 2).float(), y
        return items.float() / (self.levels - 1), y


def sixteen_bits(shape: torch.Size, seed: int) -> Tensor:
    """Uniform int16 for coins whose odds are right to 2^-16; four from one draw, at a third of the cost of floats.

    Drawn on the CPU, so that every device sees the same bits for the same seed.
    """
    n = shape.numel()
    draws = torch.empty(math.ceil(n / 4), dtype=torch.int64)
    draws.random_(-(2**63), None, generator=torch.Generator().manual_seed(seed))
    return draws.view(torch.int16)[:n].view(shape)


def at_odds(k: Tensor, levels: int) -> Tensor:
    """What `sixteen_bits` are below with probability k / (levels - 1)."""
    return k.float() * (2**16 / (levels - 1)) - 2**15


@dataclass(frozen=True)
class Data:
    """Train, valid and test, and what is known of them.

    Arguments:
        name: how the user named it.
        spec: what a model is told.
        options: how it was opened, so that it can be opened again.
        notes: what was resized, converted or dropped, a sentence each.
        fingerprint: of the stored items and labels of all splits; two data with one fingerprint are alike.
        log_density: of the true distribution, where it is known: x (B, D) -> (B,), nats.
        modes: centres of the true distribution's clusters and their radius, where it has such.
        order: where each item of train, then valid, then test came from; None where they came in that order.
        names: of all items in the order they came, where they are files.
        reopens: whether `open_data(data.name, **data.options)` opens it again: an array in memory does not.
    """

    name: str
    spec: Spec
    train: Split
    valid: Split
    test: Split
    options: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    fingerprint: str = ""
    log_density: Callable[[Tensor], Tensor] | None = None
    modes: tuple[Tensor, float] | None = None
    order: Tensor | None = None
    names: tuple[str, ...] = ()
    reopens: bool = True

    @property
    def items(self) -> Split:
        """Every item of the three splits, in the order they came."""
        splits = list(self.splits.values())
        came = np.arange(sum(map(len, splits))) if self.order is None else self.order.numpy()
        order = torch.from_numpy(np.unique(came, return_index=True)[1])  # once, where it is in several splits
        labels = [split.y.cpu() for split in splits if split.y is not None]
        source = Joined([split.source for split in splits], order)
        y = torch.cat(labels)[order] if labels else None
        return Split(source, y, levels=self.train.levels, binarize=self.train.binarize)

    @property
    def splits(self) -> dict[str, Split]:
        return {"train": self.train, "valid": self.valid, "test": self.test}

    def __str__(self) -> str:
        sizes = ", ".join(f"{len(split)} {name}" for name, split in self.splits.items())
        labels = f", {len(self.spec.classes)} classes" if self.spec.classes else ""
        return f"{self.name}: {self.spec}{labels}; {sizes}"


def steps_per_epoch(n: int, batch_size: int) -> int:
    """Full batches in a pass over n items; the rest of a permutation is left out, at least one batch."""
    return max(1, n // batch_size)


def hash_seed(*parts: int | str) -> int:
    """A seed for `torch.Generator` that depends on all parts: hash_seed(seed, epoch), ..."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def fingerprint(*splits: Split) -> str:
    """Of what is stored in memory: items, labels and levels of all splits, 32 hex digits."""
    digest = hashlib.blake2b(digest_size=16)
    for split in splits:
        assert isinstance(split.source, InMemory)
        for tensor in (split.source.items, split.y):
            if tensor is not None:
                digest.update(f"{tensor.dtype} {tuple(tensor.shape)} {split.levels};".encode())
                digest.update(tensor.cpu().contiguous().numpy().data)
    return digest.hexdigest()
