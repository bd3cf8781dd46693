"""Your own network in a model's place: any nn.Module with the right shapes.

    q(z|x) = N(mean, exp(log_var)),  (mean, log_var) = encoder(x)          x in [-1, 1], shape (B, 1, 8, 8)
    p(x|z)                           its parameters  = decoder(z)          z, shape (B, latent)

The likelihood says how many parameters a pixel has: `lookalike.nn.likelihoods`. A run saves weights, never
code, so `load` takes the modules again.

Kingma & Welling (2014), arXiv:1312.6114; He et al. (2016), "Deep residual learning", arXiv:1512.03385.
"""

import torch
from torch import Tensor, nn

import lookalike
from lookalike.nn.rows import likelihood

LATENT = 6
spec = lookalike.open_data("digits").spec
params = likelihood(spec, "auto").width  # numbers that the logistic likelihood takes for a pixel


class Residual(nn.Module):
    """h + f(h)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.f = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, h: Tensor) -> Tensor:
        return h + self.f(h)


def networks() -> dict[str, nn.Module]:
    """A new encoder and decoder."""
    return {
        "encoder": nn.Sequential(nn.Flatten(), nn.Linear(64, 128), Residual(128), nn.Linear(128, 2 * LATENT)),
        "decoder": nn.Sequential(
            nn.Linear(LATENT, 128), Residual(128), nn.Linear(128, params * 64), nn.Unflatten(1, (params, 8, 8))
        ),
    }


run = lookalike.train("vae", "digits", out="runs/05", overwrite=True, steps=1500, latent=LATENT, **networks())
model = lookalike.load(run)  # later, from the folder alone: lookalike.load("runs/05", **networks())
x, _ = lookalike.open_data("digits").test.first(100)
with torch.no_grad():
    print(f"squared error of reconstructions  {(model.reconstruct(x) - x).square().mean():.4f}")
    print(f"of the mean image for comparison  {(x.mean(0) - x).square().mean():.4f}")

# A wrong shape is refused before anything is trained, in a sentence.
try:
    lookalike.train("vae", "digits", out="runs/05-wrong", latent=LATENT, encoder=nn.Flatten())
except lookalike.UserError as mistake:
    print(f"error: {mistake}")
