"""A density that can be seen: a flow learns two moons, whose true density is known.

    log p(x) = log N(f(x); 0, I) + log |det df/dx|             KL(p_true || p) = E[log p_true(x) - log p(x)]

Dinh et al. (2017), "Density estimation using Real NVP", arXiv:1605.08803.
"""

import torch

import lookalike
from lookalike.pictures import points, stack

data = lookalike.open_data("moons")
run = lookalike.train("realnvp", "moons", out="runs/03", overwrite=True, steps=1500)
model = lookalike.load(run)

with torch.no_grad():
    x, _ = data.test.first(2000)
    print(f"KL to the truth  {(data.log_density(x) - model.log_prob(x)).mean():.3f} nats")

    # A density integrates to 1: the sum over a fine grid, times the area of a cell.
    side = torch.linspace(-3, 4, 400, dtype=torch.float64)
    cells = torch.cartesian_prod(side, side)
    print(f"its integral     {model.log_prob(cells).exp().sum() * (side[1] - side[0]) ** 2:.4f}")

    # A flow is a code too, and a code without loss: there and back is the same point.
    print(f"there and back   {(model.decode(model.encode(x)) - x).abs().max():.1e}")

    # Above the truth, below the model: points, and the density as a map.
    truth, made = points(x, log_density=data.log_density), points(model.sample(2000, seed=0), x, model.log_prob)
stack([truth, made]).save("runs/03/densities.png")
print("the true density above the model's: runs/03/densities.png")
