"""What is compared: models, each with its data, its batch, and the others it is set beside.

    lookalike   `lookalike.training.loop.fit`, with its defaults
    textbook    the loop of the PyTorch examples: a DataLoader over a data set that makes a float tensor of
                each picture when it is asked for, float32, eager, `torch.optim.Adam`, `.item()` each step
    tensors     the same loop, over tensors that were converted before: a stronger one
    pythae      the trainer of pythae 0.1.2, in its own environment
    torchgan    the trainer of torchgan 0.1.0 with its own losses, by the same torch
    by hand     our own step written out without the loop: what the loop itself costs

All sides of a row train the same modules on the same items with the same batch size.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lookalike.data import Data, Split, open_data
from lookalike.data.base import InMemory
from lookalike.errors import UserError
from lookalike.spec import Spec

ITEMS = 60_000  # as many as MNIST: a smaller set is repeated, so that an epoch's end weighs alike everywhere


@dataclass(frozen=True)
class Row:
    """One comparison.

    Arguments:
        recipe: of ours. data: a name, or "pictures" for MNIST or its embedded part.
        levels: 2 makes pictures binary, before any side sees them.
        given: options of the recipe.
        others: the sides ours is set beside.
        bars: by how much ours has to be faster than another side: its time over ours.
        steps: of a chunk, about a second's worth.
    """

    recipe: str
    data: str
    batch_size: int
    steps: int
    levels: int = 256
    given: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[str, ...] = ("textbook", "tensors")
    bars: Mapping[str, float] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """What the recipe is given, in a run without end."""
        return {**self.given, "batch_size": self.batch_size, "steps": 10**9}


OF_VAES = ("textbook", "tensors", "pythae", "by hand")
OF_GANS = ("textbook", "tensors", "torchgan")
TWICE = {"textbook": 2.0, "torchgan": 2.0}

ROWS = {
    "mlp-vae": Row(
        "mlp-vae", "pictures", 128, 150, 2, others=OF_VAES, bars={"textbook": 4.0, "pythae": 3.0, "by hand": 0.95}
    ),
    "vae": Row("vae", "pictures", 128, 20, 2, others=OF_VAES, bars={"pythae": 1.2, "by hand": 0.95}),
    "dcgan": Row("dcgan", "pictures", 64, 8, others=OF_GANS, bars=TWICE),
    "wgan-gp": Row("wgan-gp", "pictures", 64, 2, others=OF_GANS, bars=TWICE),
    "residual-gan": Row("dcgan", "pictures", 64, 3, given={"block": "residual"}, others=OF_GANS, bars=TWICE),
    "linear-ae": Row("linear-ae", "pictures", 128, 200),
    "conv-ae": Row("conv-ae", "pictures", 64, 40),
    "pixelcnn": Row("pixelcnn", "pictures", 32, 8, 2, given={"optimiser": "adam"}),
    "made": Row("made", "grid25", 256, 60, others=("textbook", "by hand"), bars={"by hand": 0.95}),
    "realnvp": Row("realnvp", "moons", 256, 60, others=("textbook", "by hand"), bars={"by hand": 0.95}),
}


def lay_out(row: Row, folder: Path) -> str:
    """Write the items all sides train on; returns the data's name."""
    data = _pictures() if row.data == "pictures" else open_data(row.data)
    assert isinstance(data.train.source, InMemory)
    items, levels = data.train.source.items, data.spec.levels
    if levels and row.levels == 2:
        items, levels = (items >= levels / 2).to(torch.uint8), 2
    items = items.repeat(-(-ITEMS // len(items)), *[1] * (items.dim() - 1))[:ITEMS]
    folder.mkdir(parents=True)
    np.save(folder / "items.npy", items.numpy())
    (folder / "spec.json").write_text(json.dumps({**data.spec.to_json(), "levels": levels, "classes": ()}))
    return data.name


def laid_out(folder: Path) -> tuple[Spec, torch.Tensor]:
    """The items that `lay_out` wrote, as stored, and what is known of them."""
    spec = Spec.from_json(json.loads((folder / "spec.json").read_text()))
    return spec, torch.from_numpy(np.load(folder / "items.npy"))


def as_data(spec: Spec, items: torch.Tensor) -> Data:
    """The items as `fit` takes them."""
    split = Split(InMemory(items), levels=spec.levels)
    return Data("benchmark", spec, split, split, split)


def _pictures() -> Data:
    if os.environ.get("LOOKALIKE_DATA"):
        try:
            return open_data("mnist")
        except UserError:
            pass  # not laid there: the embedded ones do
    return open_data("mnist-5k")
