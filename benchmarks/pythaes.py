"""The side of pythae's trainer; it runs in pythae's environment, which has torch but not our other packages.

    python -m benchmarks.pythaes ROW FOLDER --threads 2

Chadebec et al. (2022), "Pythae", arXiv:2206.08309. Pictures are given as its users give them: float tensors
made beforehand; training is its `BaseTrainer`'s with its defaults and a batch of the row's size.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor, nn

from .clock import Clock
from .networks import LATENT, NETWORKS


class Encoder(BaseEncoder):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> ModelOutput:
        mean, log_var = self.network(x).chunk(2, dim=1)
        return ModelOutput(embedding=mean, log_covariance=log_var)


class Decoder(BaseDecoder):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=torch.sigmoid(self.network(z)))


class Timed(TrainingCallback):
    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_step_end(self, training_config: BaseTrainerConfig, **_: object) -> None:
        self.clock.step()


def train(row: str, batch_size: int, folder: Path, clock: Clock) -> None:
    """Train for ever by pythae's trainer."""
    x = torch.from_numpy(np.load(folder / "items.npy")).float()
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT[row], reconstruction_loss="bce")
    encoder, decoder = NETWORKS[row]()
    model = VAE(config, encoder=Encoder(encoder), decoder=Decoder(decoder))
    with tempfile.TemporaryDirectory() as output:
        numbers = BaseTrainerConfig(
            output_dir=output,
            num_epochs=10**6,
            per_device_train_batch_size=batch_size,
            learning_rate=1e-3,
            no_cuda=clock.device.type == "cpu",
        )
        data = BaseDataset(x, torch.zeros(len(x)))
        BaseTrainer(model, data, training_config=numbers, callbacks=[Timed(clock)]).train()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("row", choices=NETWORKS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    sys.stdout = sys.stderr
    torch.manual_seed(0)
    train(given.row, given.batch_size, given.folder, Clock(torch.device(given.device), out))


if __name__ == "__main__":
    main()
