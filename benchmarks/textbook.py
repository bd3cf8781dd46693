"""Training loops as the PyTorch examples have them, over the same modules as ours.

    github.com/pytorch/examples, vae/main.py and dcgan/main.py; torchvision's MNIST with ToTensor
    wgan-gp as Gulrajani et al. (2017), arXiv:1704.00028, algorithm 1 writes it, line by line

torchvision itself is not used (its wheel wants CUDA libraries): `Pictures` does what its MNIST and its
ToTensor do, call by call: an image of PIL for each item, back to an array, channels first, float, over 255.
A step is a function, so that a test can hold its losses to those of our own turns on the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset, TensorDataset

from lookalike.spec import Spec

Optimisers = dict[str, Optimizer]


class Pictures(Dataset[tuple[Tensor]]):
    """uint8 (N, 1, H, W) as torchvision's MNIST with ToTensor gives them: (1, H, W) float in [0, 1]."""

    def __init__(self, items: Tensor, levels: int) -> None:
        self.data = items[:, 0].mul_(255 // (levels - 1))  # in place: a second copy is no part of a textbook's memory

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor]:
        picture = Image.fromarray(self.data[index].numpy())
        array = torch.from_numpy(np.array(picture, np.uint8, copy=True))
        array = array.view(picture.size[1], picture.size[0], 1).permute(2, 0, 1).contiguous()
        return (array.to(torch.get_default_dtype()).div(255),)


def dataset(items: Tensor, spec: Spec, *, ready: bool) -> Dataset[Any]:
    """The items as a textbook has them, or converted beforehand where `ready`; rows always are."""
    if spec.levels and not ready:
        return Pictures(items, spec.levels)
    return TensorDataset(items.float() / (spec.levels - 1) if spec.levels else items)


def train(model: Any, data: Dataset[Any], batch_size: int, device: torch.device) -> Iterator[None]:
    """Train for ever; yields after each step."""
    loader = DataLoader(data, batch_size=batch_size, shuffle=True, pin_memory=device.type == "cuda")
    model = model.to(device).train()
    optimisers: Optimisers = {name: torch.optim.Adam(part.parameters()) for name, part in model.players().items()}
    step = step_of(model)
    while True:
        for (x,) in loader:
            step(model, optimisers, x.to(device))
            yield


def vae_step(model: Any, optimisers: Optimisers, x: Tensor) -> dict[str, float]:
    """A VAE's step by vae/main.py: x_hat by a sigmoid, binary cross-entropy and KL summed; nats an item."""
    mean, log_var = model.encoder(2 * x - 1).chunk(2, dim=1)
    std = torch.exp(0.5 * log_var)
    z = mean + torch.randn_like(std) * std
    x_hat = torch.sigmoid(model.decoder(z))
    distortion = F.binary_cross_entropy(x_hat, x, reduction="sum")
    rate = -0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp())
    return _move(optimisers["model"], (distortion + rate) / len(x))


def autoencoder_step(model: Any, optimisers: Optimisers, x: Tensor) -> dict[str, float]:
    """The mean squared error of [-1, 1]."""
    h = 2 * x - 1
    return _move(optimisers["model"], F.mse_loss(model.decoder(model.encoder(h)), h))


def likelihood_step(model: Any, optimisers: Optimisers, x: Tensor) -> dict[str, float]:
    """Maximum likelihood by the model's own log_prob; nats an item."""
    return _move(optimisers["model"], -model.log_prob(x).mean())


def dcgan_step(model: Any, optimisers: Optimisers, x: Tensor) -> dict[str, float]:
    """A GAN's step by dcgan/main.py: all-real, then all-fake, then the generator, from the same samples."""
    D, G, h = model.discriminator, model.generator, 2 * x - 1
    ones, zeros = torch.ones(len(h), device=h.device), torch.zeros(len(h), device=h.device)

    D.zero_grad()
    of_real = torch.sigmoid(D(h)).view(-1)
    loss_real = F.binary_cross_entropy(of_real, ones)
    loss_real.backward()
    of_real.mean().item()

    fake = torch.tanh(G(torch.randn(len(h), model.latent, device=h.device)))
    of_fake = torch.sigmoid(D(fake.detach())).view(-1)
    loss_fake = F.binary_cross_entropy(of_fake, zeros)
    loss_fake.backward()
    of_fake.mean().item()
    optimisers["discriminator"].step()

    G.zero_grad()
    of_fake = torch.sigmoid(D(fake)).view(-1)
    loss = F.binary_cross_entropy(of_fake, ones)
    loss.backward()
    of_fake.mean().item()
    optimisers["generator"].step()
    return {"discriminator": (loss_real + loss_fake).item(), "generator": loss.item()}


def wgan_gp_step(model: Any, optimisers: Optimisers, x: Tensor) -> dict[str, float]:
    """A round of WGAN-GP: the critic's steps, each from samples of its own, then the generator's."""
    D, G, h = model.discriminator, model.generator, 2 * x - 1
    for _ in range(model.n_critic):
        fake = torch.tanh(G(torch.randn(len(h), model.latent, device=h.device)))
        loss_D = D(fake.detach()).mean() - D(h).mean()
        epsilon = torch.rand(len(h), 1, 1, 1, device=h.device)
        between = (epsilon * fake.detach() + (1 - epsilon) * h).requires_grad_(True)
        of_between = D(between)
        (slope,) = torch.autograd.grad(of_between, between, torch.ones_like(of_between), create_graph=True)
        penalty = ((slope.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
        loss_D = loss_D + model.price.weight * penalty
        _move(optimisers["discriminator"], loss_D)

    loss = -D(fake).mean()
    return {"discriminator": loss_D.item(), "generator": _move(optimisers["generator"], loss)["model"]}


def _move(optimiser: Optimizer, loss: Tensor) -> dict[str, float]:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return {"model": loss.item()}


STEPS: dict[str, Callable[[Any, Optimisers, Tensor], dict[str, float]]] = {
    "VAE": vae_step,
    "Autoencoder": autoencoder_step,
    "GAN": dcgan_step,
}


def step_of(model: Any) -> Callable[[Any, Optimisers, Tensor], dict[str, float]]:
    """The step that a textbook has for a model of ours."""
    if type(model).__name__ == "GAN" and model.price.penalty.where:
        return wgan_gp_step
    return STEPS.get(type(model).__name__, likelihood_step)
