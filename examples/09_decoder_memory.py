"""A decoder alone is a memory, and what it remembers is said by its code.

    ones          g(1)       ~ x           one image, whatever the code: all of it is in the weights
    one-hot       g(e_i)     ~ x_i         k images, one a number of the code: column i of a matrix
    real codes    g(z_i)     ~ x_i         any number of images, z_i learnt with g; and between them more

With ones or one-hots there is nothing to ask for but what was learnt by heart: an image never seen has no code. Real
codes of 8 numbers keep all 500 digits, and a new digit is then a place among them that can be searched for: that place
is why there are codes, and finding it at once is what an encoder is for.

The third is Bojanowski et al. (2018), "Optimizing the latent space of generative networks", arXiv:1707.05776.
"""

from pathlib import Path

import torch
from torch import nn

import lookalike
from lookalike.nn.mlp import mlp
from lookalike.pictures import grid

STEPS = 1500
torch.manual_seed(0)
data = lookalike.open_data("digits")
x, _ = data.train.first(500)
new, _ = data.test.first(500)
K = 10


def remember(codes: nn.Parameter | torch.Tensor, decoder: nn.Module, wanted: torch.Tensor, steps: int) -> float:
    """Train whatever of the two can be trained; the mean squared error that is left."""
    free = [*decoder.parameters(), codes] if codes.requires_grad else list(decoder.parameters())
    optimiser = torch.optim.Adam([p for p in free if p.requires_grad], 1e-2)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)
        loss = (decoder(codes).sigmoid() - wanted.flatten(1)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return loss.item()


one = nn.Linear(4, 64, bias=False)
print(f"a vector of ones, one image             {remember(torch.ones(1, 4), one, x[:1], STEPS):.5f}")
several = nn.Linear(K, 64, bias=False)
print(f"one-hot codes, {K} images                {remember(torch.eye(K), several, x[:K], STEPS):.5f}")
any_image, z = mlp((8, 128, 64), nn.SiLU), nn.Parameter(0.5 * torch.randn(len(x), 8))
print(f"8 real numbers each, {len(x)} images         {remember(z, any_image, x, STEPS):.5f}")

# An image that was never seen: no one-hot is its own, and the nearest of what is remembered must do ...
remembered = several(torch.eye(K)).sigmoid()
nearest = torch.cdist(new.flatten(1), remembered).argmin(1)
print(f"new images, the nearest of {K}           {(remembered[nearest] - new.flatten(1)).square().mean():.5f}")
# ... but a code can be searched for, with the decoder held.
found = nn.Parameter(z.detach().mean(0).repeat(len(new), 1))
print(f"new images, by a code searched for      {remember(found, any_image.requires_grad_(False), new, 300):.5f}")

with torch.no_grad():
    path = torch.lerp(found[0], found[1], torch.linspace(0, 1, K)[:, None])
    rows = [x[:K], remembered, any_image(z[:K]).sigmoid(), new[:K], any_image(found[:K]).sigmoid()]
    rows.append(any_image(path).sigmoid())
labels = ["images", "from one-hots", "from codes", "new images", "codes found", "between two"]
Path("runs").mkdir(exist_ok=True)
picture = torch.cat([row.reshape(-1, 1, 8, 8) for row in rows])
grid(picture, columns=K, row_labels=labels).save("runs/09_decoder_memory.png")
print("runs/09_decoder_memory.png")
