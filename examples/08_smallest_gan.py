"""The smallest GAN: faces of 2x2 pixels, slanted by 45 degrees, and two networks of 13 numbers in all.

    a face    bright . dark         G(z) = w z + b          8 numbers: four brightnesses from one z ~ N(0, 1)
              dark . bright         D(x) = v . x + c        5 numbers: above 0 for a face, below for anything else

D learns that a face is bright on its diagonal and dark off it: v = (+, -, -, +). G learns from the signs of v which
pixel to light. When both means are alike D has nothing left to see, v returns to 0, and the game is over. A line sees
means and nothing else: how faces differ from each other is what hidden layers are for.

Goodfellow et al. (2014), arXiv:1406.2661, with R1 (Mescheder et al. 2018, arXiv:1801.04406), without which the two
would circle each other for ever.
"""

from pathlib import Path

import torch
from torch import nn

import lookalike
from lookalike.models.implicit.gan.builders import gan
from lookalike.pictures import grid
from lookalike.recipe import Training
from lookalike.spec import Column, Spec
from lookalike.training.loop import fit

torch.manual_seed(1)
face = torch.tensor([1.0, 0.0, 0.0, 1.0])
faces = (face - 0.3 * torch.rand(500, 4)).abs()  # bright: 0.7 to 1, dark: 0 to 0.3
pixels = tuple(Column(name, mean=0.5, std=0.5) for name in ("up left", "up right", "down left", "down right"))
data = lookalike.open_data(faces.numpy(), like=Spec("points", (4,), columns=pixels))

G, D = nn.Linear(1, 4), nn.Linear(4, 1)
slots = {"objective": "nonsaturating", "penalty": "r1", "penalty_weight": 0.3}
model = gan(data.spec, latent=1, generator=G, discriminator=D, **slots)
shown = {"before": model.sample(10, seed=0)}
for steps in (40, 460):
    fit(model, data, Training(steps=steps, lr=2e-2, betas=(0.0, 0.99), ema=0.0, warmup=0, schedule="constant"))
    print(f"after {steps:3} steps more  v = {D.weight[0].tolist()}")
    shown[f"{steps} steps more"] = model.sample(10, seed=0)
print(f"G draws {model.decode(torch.zeros(1, 1))[0].tolist()}, the mean face is {faces.mean(0).tolist()}")

rows = torch.cat([*shown.values(), faces[:10]]).float().view(-1, 1, 2, 2)
Path("runs").mkdir(exist_ok=True)
grid(rows, columns=10, row_labels=[*shown, "data"], scale=28).save("runs/08_smallest_gan.png")
print("runs/08_smallest_gan.png")
