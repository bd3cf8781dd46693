"""The side of torchgan's trainer, with its own losses, over our networks.

Pal & Das (2021), "TorchGAN: a flexible framework for GAN training and evaluation", JOSS. Its package is laid beside
this one without what it depends on, so that it runs on the same torch as ours; torchvision, which it draws its
pictures with at the end of an epoch, is stood in for by an empty module, as its wheels must match torch's build
exactly. Pictures are given as float tensors made beforehand, in an epoch without end, so it draws and saves nothing.
A step is a round, as ours: as many batches as the discriminator moves times.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lookalike.models.implicit.gan.gan import GAN
from lookalike.recipe import find

from .clock import Clock
from .environment import TORCHGAN
from .references import Absent
from .rows import Row, laid_out
from .textbook import dataset


class Rounds:
    """Batches without end, and the clock's leave asked for after every n of them."""

    def __init__(self, loader: DataLoader[Any], n: int, clock: Clock) -> None:
        self.loader, self.n, self.clock = loader, n, clock
        self.batch_size = loader.batch_size

    def __iter__(self) -> Iterator[Tensor]:
        given = 0
        while True:
            for (x,) in self.loader:
                if given and given % self.n == 0:
                    self.clock.step()
                given += 1
                yield 2 * x - 1


def train(row: Row, folder: Path, clock: Clock) -> None:
    """Train for ever by torchgan's trainer."""
    os.environ.update(CONSOLE_LOGGING="0", TENSORBOARD_LOGGING="0", VISDOM_LOGGING="0")
    sys.meta_path.insert(0, Absent())
    sys.path.insert(0, str(TORCHGAN))
    from torchgan import losses
    from torchgan.models import Discriminator, Generator
    from torchgan.trainer import Trainer

    class Ours(Generator):
        def __init__(self, network: nn.Module, latent: int) -> None:
            super().__init__(latent)
            self.network = network

        def forward(self, z: Tensor) -> Tensor:
            return torch.tanh(self.network(z))

    class Judge(Discriminator):
        def __init__(self, network: nn.Module, channels: int) -> None:
            super().__init__(channels)
            self.network = network

        def forward(self, h: Tensor) -> Tensor:
            judged: Tensor = self.network(h)
            return judged

    spec, items = laid_out(folder)
    model = find(row.recipe).resolved(spec.kind, row.options).model(spec)
    assert isinstance(model, GAN)
    adam = {"name": torch.optim.Adam}
    players = {
        "generator": {"name": Ours, "args": {"network": model.generator, "latent": model.latent}, "optimizer": adam},
        "discriminator": {
            "name": Judge,
            "args": {"network": model.discriminator, "channels": spec.shape[0]},
            "optimizer": adam,
        },
    }
    if model.price.penalty.where:
        played = [
            losses.WassersteinGeneratorLoss(),
            losses.WassersteinDiscriminatorLoss(),
            losses.WassersteinGradientPenalty(lambd=model.price.weight),
        ]
    else:
        played = [losses.MinimaxGeneratorLoss(), losses.MinimaxDiscriminatorLoss()]
    with tempfile.TemporaryDirectory() as out:
        trainer = Trainer(
            players,
            played,
            device=clock.device,
            ncritic=model.n_critic,
            checkpoints=f"{out}/gan",
            recon=f"{out}/images",
        )
        loader = DataLoader(dataset(items, spec, ready=True), batch_size=row.batch_size, shuffle=True)
        trainer(Rounds(loader, model.n_critic, clock))
