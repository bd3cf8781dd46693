"""Why a GAN's generator does not minimise what its discriminator maximises: three slopes.

With f = D(G(z)) a logit and D = sigmoid(f) the chance it is taken for data, the generator's loss and its slope are

    minimax            log(1 - D)            -D                      0 where the sample is known for fake
    non-saturating     -log D                -(1 - D)                1 there
    squared error      (1 - D)^2 / 2         -(1 - D)^2 D            0 there too: a sigmoid below a square saturates
    least squares      (1 - f)^2 / 2         f - 1                   LSGAN has no sigmoid, so it does not

Goodfellow et al. (2014), "Generative adversarial nets", arXiv:1406.2661, section 3; Mao et al. (2017),
arXiv:1611.04076.
"""

from pathlib import Path

import torch

from lookalike.models.implicit.losses import OBJECTIVES
from lookalike.pictures.chart import FAINT, figure_of, legend, picture_of

LOSSES = {
    "minimax": lambda f: OBJECTIVES["minimax"].generator(f, f),
    "non-saturating": lambda f: OBJECTIVES["nonsaturating"].generator(f, f),
    "squared error of D": lambda f: (1 - f.sigmoid()).square() / 2,
    "least squares (LSGAN)": lambda f: OBJECTIVES["lsgan"].generator(f, f),
}


def slope(loss, f):
    """d loss / d f at each f, shape of f."""
    return torch.func.vmap(torch.func.grad(loss))(f)


f = torch.linspace(-6, 3, 200, dtype=torch.float64)
figure, (ax,) = figure_of(1, 1, 6.5, 3.8)
for (name, loss), colour in zip(LOSSES.items(), ("#d55e00", "#0072b2", "#8c959f", "#009e73"), strict=True):
    steepness = slope(loss, f).abs()
    ax.plot(f, steepness, color=colour, linewidth=2, label=name)
    print(f"{name:24} |slope| where D = {f[0].sigmoid():.4f}: {steepness[0]:.4f}")
ax.set(xlabel="logit of a sample: on the left the discriminator is sure that it is fake", ylabel="|slope|", ylim=(0, 2))
ax.axvline(0, color=FAINT, linewidth=1, zorder=0)
legend(ax)

Path("runs").mkdir(exist_ok=True)
picture_of(figure).save("runs/06_gradients.png")
print("runs/06_gradients.png")
