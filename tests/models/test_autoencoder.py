"""Autoencoders: the linear one against PCA, the distance each minimises, codes for every kind of data."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from lookalike.errors import UserError
from lookalike.models.autoencoder.builders import conv_ae, deep_ae, linear_ae
from lookalike.spec import Column, Spec

SCALES = torch.tensor([5.0, 3.0, 1.0, 0.5, 0.3, 0.1], dtype=torch.float64)
ROWS = Spec("table", (2,), columns=(Column("a", mean=3, std=2, missing=True), Column("b", ("x", "y", "z"))))
ROWS_X = torch.tensor([[1.0, 2], [math.nan, 0]], dtype=torch.float64)
GREY = Spec("images", (1, 9, 8), levels=16)


@pytest.mark.parametrize("tied", [True, False])
def test_linear_autoencoder_finds_the_principal_subspace(tied):
    """Baldi & Hornik (1989): the optimum is the projection on the leading eigenvectors."""
    x = torch.randn(500, 6, dtype=torch.float64) * SCALES
    x = x @ torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q + 1  # off centre, off the axes
    model = linear_ae(Spec("points", (6,), columns=tuple(Column(str(i)) for i in range(6))), latent=2, tied=tied)
    model.double()
    optimiser = torch.optim.LBFGS(
        model.parameters(), max_iter=2000, tolerance_change=1e-14, tolerance_grad=1e-10, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        turn = next(model.turns(x))
        turn.loss.backward()
        return turn.loss

    optimiser.step(loss)
    with torch.no_grad():
        V = torch.linalg.svd(x - x.mean(0), full_matrices=False).Vh[:2]  # (2, D)
        eye = torch.eye(6, dtype=torch.float64)
        U = torch.linalg.qr((model.reconstruct(eye) - model.reconstruct(0 * eye)).T).Q[:, :2]
        # The largest principal angle: its sine is the part of U outside the span of V.
        assert torch.linalg.matrix_norm(U - V.T @ (V @ U), ord=2) < 1e-3
        torch.testing.assert_close(model.reconstruct(x), x.mean(0) + (x - x.mean(0)) @ V.T @ V, atol=1e-3, rtol=0)


def test_a_tied_weight_is_one_weight():
    model = linear_ae(GREY, latent=5)
    assert len(model.state_dict()) == 3  # W and the two biases
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.encoder[1].weight.zero_()
    z = torch.randn(2, 5)
    assert model.decode(z).std() > 0.01
    torch.testing.assert_close(other.decode(z), torch.full((2, 1, 9, 8), 0.5))


def test_distortion_is_squared_error_and_cross_entropy():
    """Of a table: over number, its gap and the category; a missing number has no error of its own."""

    class Fixed(nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[0.0, 0.0, 0.5, 1.0, 0.0, 0.0]]).expand(len(z), -1)  # there, missing, a, x, y, z

    model = deep_ae(ROWS, latent=2, decoder=Fixed())
    log_softmax = torch.tensor([1.0, 0, 0]).log_softmax(0)
    expected = torch.tensor([(math.log(2) + (-1 - 0.5) ** 2 - log_softmax[2]) / 3, (math.log(2) - log_softmax[0]) / 3])
    torch.testing.assert_close(model.distortion(ROWS_X), expected)
    images = deep_ae(GREY, latent=2).eval()
    x = torch.randint(16, (4, 1, 9, 8)) / 15
    h_hat = images.decoder(images.encoder(2 * x - 1))
    torch.testing.assert_close(images.distortion(x), (h_hat - (2 * x - 1)).square().mean((1, 2, 3)))


@pytest.mark.parametrize(
    ("build", "spec", "x"),
    [
        (linear_ae, ROWS, ROWS_X),
        (deep_ae, ROWS, ROWS_X),
        (linear_ae, GREY, torch.rand(2, 1, 9, 8)),
        (deep_ae, GREY, torch.rand(2, 1, 9, 8)),
        (conv_ae, GREY, torch.rand(2, 1, 9, 8)),
    ],
)
def test_a_code_of_the_size_asked_for_and_x_in_its_units(build, spec, x):
    model = build(spec, latent=3)
    z = model.encode(x)
    assert z.shape == (2, 3)
    torch.testing.assert_close(model.encode(x[:1]), z[:1])
    x_hat = model.reconstruct(x)
    assert x_hat.shape == x.shape
    if spec.kind == "images":
        assert ((x_hat >= 0) & (x_hat <= 1)).all()
    else:
        assert set(x_hat[:, 1].tolist()) <= {0, 1, 2}


def test_a_network_that_does_not_fit_is_refused():
    with pytest.raises(UserError, match=r"decoder gives shape \(B, 72\), but the model needs \(B, 1, 9, 8\)"):
        conv_ae(GREY, latent=4, decoder=nn.Linear(4, 72))
