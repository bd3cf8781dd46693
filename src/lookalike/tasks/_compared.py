"""What metrics that compare samples may ask for: features of real items, of samples and of training items.

Features are walked a part at a time. Where only moments are asked for, no features are held; those of real items, which
are the same for every model, may be kept on disk, by what they depend on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ..data.base import Data, hash_seed
from ..disk import write_atomically
from ..errors import UserError
from ..metrics.features import Seen, Space
from ..metrics.moments import Moments
from ..metrics.pairwise import nearest
from ..metrics.paths import EPSILON
from ..models.base import Latent, Model
from ..nn.memory import onto
from ._common import draw, say
from .interpolate import slerp

OF_TRAIN = {"fake_to_train", "real_to_train"}
FEATURED = {"real", "real_moments", "fake", "fake_moments", "train_moments", "path", *OF_TRAIN}
COMPARED = {*FEATURED, "samples", "fake_logits", "class_shares"}
"""Words that this file gives; those of features, which may have to be standardised."""
KEPT = 16
"""Files of features that are kept; of more the oldest are removed."""
LARGEST = 2**28
"""Bytes of features that are worth keeping."""


@dataclass
class Gathered:
    """Of some items: features, shape (N, D), their moments, and class logits; each where it was asked for."""

    features: Tensor | None = None
    moments: Moments | None = None
    logits: Tensor | None = None


class Compared:
    """Features by the words of `lookalike.metrics.table`.

    Arguments:
        space: on the model's device.
        how: of `_evidence.How`.
    """

    def __init__(self, model: Model, data: Data, how: Any, space: Space, chunk: int) -> None:
        self.model, self.data, self.how, self.space, self.chunk = model, data, how, space, chunk
        # Comparing wants float64 for its sums, which MPS has not.
        self.place = model.device if model.device.type == "cuda" else torch.device("cpu")

    def gather(self, words: set[str]) -> dict[str, Any]:
        """Those of the words that are given here."""
        found: dict[str, Any] = {}
        unit = self.space.standardise and bool(words & FEATURED)
        near = bool(words & OF_TRAIN)
        real = self._real(features="real" in words or near, moments="real_moments" in words or unit)
        by = real.moments if unit else None
        fake = self._fake(words, near, found)
        found["real"], found["fake"] = (self._in_unit(of.features, by) for of in (real, fake))
        for word, moments in (("real_moments", real.moments), ("fake_moments", fake.moments)):
            found[word] = moments.standardised(by) if moments is not None and by is not None else moments
        found["fake_logits"] = fake.logits
        if "train_moments" in words:
            split = self.data.train.thinned(self.how.samples)
            moments = self._gather(self._items(split), features=False, moments=True).moments
            found["train_moments"] = moments.standardised(by) if moments is not None and by is not None else moments
        if near:
            found["fake_to_train"], found["real_to_train"] = self._to_train(found["fake"], found["real"], by)
        if "path" in words:
            path = self._path()
            found["path"] = path if by is None else (path - by.mean.to(path)) / by.std.to(path)
        if "class_shares" in words:
            assert self.data.train.y is not None
            counts = torch.bincount(self.data.train.y.cpu(), minlength=len(self.data.spec.classes)).double()
            found["class_shares"] = counts / counts.sum()
        return {word: value for word, value in found.items() if word in words}

    def _fake(self, words: set[str], near: bool, found: dict[str, Any]) -> Gathered:
        if not words & {"samples", "fake", "fake_moments", "fake_logits", "fake_to_train"}:
            return Gathered()
        samples = self._draw()
        found["samples"] = samples
        return self._gather(
            ((x, None) for x in samples.split(self.chunk)),
            features="fake" in words or near,
            moments="fake_moments" in words,
            logits="fake_logits" in words,
        )

    def _gather(
        self, items: Iterable[tuple[Tensor, Any]], *, features: bool, moments: bool, logits: bool = False
    ) -> Gathered:
        """What is asked for of items, a chunk at a time."""
        held: list[Tensor] = []
        judged: list[Tensor] = []
        gathered = Gathered(moments=Moments() if moments else None)
        if not (features or moments or logits):
            return gathered
        for x, _ in items:
            seen = self._see(x)
            if features:
                held.append(seen.features)
            if gathered.moments is not None:
                gathered.moments.add(seen.features)
            if logits and seen.logits is not None:
                judged.append(seen.logits)
        gathered.features = torch.cat(held) if features else None
        gathered.logits = torch.cat(judged) if judged else None
        return gathered

    def _see(self, x: Tensor) -> Seen:
        with torch.inference_mode():
            seen = self.space(self.model.door.enter(onto(x, self.model.device)).float())
        return Seen(seen.features.to(self.place), None if seen.logits is None else seen.logits.to(self.place))

    def _real(self, *, features: bool, moments: bool) -> Gathered:
        """Of the split that is measured on: kept from an earlier time, or seen now."""
        if not (features or moments):
            return Gathered()
        split = self.data.splits[self.how.split].thinned(self.how.limit)
        kept = self._kept(self.how.split)
        if kept is not None and (found := _read(kept)) is not None:
            found = found.to(self.place)
            return Gathered(found, Moments.of(found) if moments else None)
        small = kept is not None and 4 * len(split) * self.space.dims <= LARGEST
        gathered = self._gather(self._items(split, "features of data"), features=features or small, moments=moments)
        if small and kept is not None and gathered.features is not None:
            _keep(kept, gathered.features)
        return gathered

    def _kept(self, split: str) -> Path | None:
        """The file for the features of a split; None where they may not be kept, or depend on what has no name."""
        if self.how.cache is None or self.data.spec.kind != "images" or not self.space.lasting:
            return None
        binarised = self.data.splits[self.how.split].binarize
        told = (self.data.fingerprint, split, self.how.limit, binarised, self.how.seed if binarised else 0)
        name = repr((*told, self.data.spec.shape, self.space.name, torch.__version__))
        return cast(Path, self.how.cache) / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.safetensors"

    def _items(self, split: Any, what: str = "") -> Iterator[tuple[Tensor, Any]]:
        told = self.how.progress(what) if what else None
        done = 0
        for x, y in split.all(None, self.chunk, self.how.seed):
            yield x, y
            done += len(x)
            if told is not None:
                told(done, len(split))

    def _to_train(self, fake: Tensor, real: Tensor, by: Moments | None) -> tuple[Tensor, Tensor]:
        """Distances of samples and of held-out items to the nearest training item, of these a part at a time."""
        asked = torch.cat([fake, real])
        least = torch.full((len(asked),), torch.inf, dtype=torch.float64, device=asked.device)
        held: list[Tensor] = []
        for x, _ in self._items(self.data.train, "features of training items"):
            held.append(self._see(x).features)
            if sum(map(len, held)) >= 5000:
                least = torch.minimum(least, nearest(asked, self._in_unit(torch.cat(held), by), 1)[0][:, 0])
                held.clear()
        if held:
            least = torch.minimum(least, nearest(asked, self._in_unit(torch.cat(held), by), 1)[0][:, 0])
        return least.sqrt()[: len(fake)], least.sqrt()[len(fake) :]

    def _in_unit(self, features: Any, by: Moments | None) -> Any:
        if features is None or by is None:
            return features
        return (features - by.mean.to(features)) / by.std.to(features)

    def _draw(self) -> Tensor:
        """Samples; those of a conditional model with the labels as frequent as in the split."""
        n, seed, told = self.how.samples, self.how.seed, self.how.progress("sampling")
        return draw(self.model, n, seed=seed, y=self._labels(n), progress=told, **(self.how.drawing or {}))

    def _labels(self, n: int) -> Tensor | None:
        y = self.data.splits[self.how.split].y if self.model.conditional else None
        if y is None:
            return None
        return y[torch.randint(len(y), (n,), generator=torch.Generator().manual_seed(self.how.seed)).to(y.device)]

    def _path(self) -> Tensor:
        """Features at two near points of as many ways as there are to be samples, shape (n, 2, D)."""
        model, n = self.model, self.how.samples
        assert isinstance(model, Latent)
        generator = torch.Generator().manual_seed(hash_seed(self.how.seed, "path"))
        ends = torch.randn(2, n, model.latent, generator=generator)
        t = torch.rand(n, generator=generator)
        labels, parts = self._labels(n), []
        for start in range(0, n, self.chunk):
            part = slice(start, start + self.chunk)
            a, b = (end[part].double() for end in ends)
            z = torch.stack([_at(a, b, t[part].double() + step) for step in (0.0, EPSILON)], 1).flatten(0, 1)
            y = None if labels is None else labels[part].repeat_interleave(2).to(model.device)
            x = model.decode(z.to(model.device, torch.float32), y)
            parts.append(self._see(x).features.unflatten(0, (-1, 2)))
        return torch.cat(parts)


def _at(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """The point at its own t of each great circle from a to b, shape of a."""
    return torch.stack([slerp(p[None], q[None], s[None])[0, 0] for p, q, s in zip(a, b, t, strict=True)])


def _read(path: Path) -> Tensor | None:
    try:
        return safetensors.torch.load(path.read_bytes())["features"]
    except (OSError, SafetensorError, KeyError):
        return None


def _keep(path: Path, features: Tensor) -> None:
    """Features for another time; that they cannot be kept is no reason to fail."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, safetensors.torch.save({"features": features.cpu().contiguous()}))
        oldest = sorted(path.parent.glob("*.safetensors"), key=lambda file: file.stat().st_mtime)[:-KEPT]
        for file in oldest:
            file.unlink(missing_ok=True)
    except (OSError, UserError) as why:
        say(f"note: features are not kept for another time: {why}")
