"""Does a GAN lose modes? Eight narrow Gaussians on a circle, and two objectives.

                      r3: relativistic, slopes held to 0           lsgan: least squares
    discriminator     softplus(D(fake) - D(real)) + r1 + r2        ((D(real) - 1)^2 + D(fake)^2) / 2
    generator         softplus(D(real) - D(fake))                  (D(fake) - 1)^2 / 2

A mode is found if a sample lies within 3 sigma of it; of the truth itself 98.9 % of the samples do.

Huang et al. (2024), "The GAN is dead; long live the GAN!", arXiv:2501.05441; Mao et al. (2017), "Least squares
generative adversarial networks", arXiv:1611.04076.
"""

import lookalike
from lookalike.pictures import points, stack

real, _ = lookalike.open_data("ring8").test.first(1000)
pictures = []
for recipe in ("r3", "lsgan"):
    run = lookalike.train(recipe, "ring8", out=f"runs/04/{recipe}", overwrite=True, steps=2500, batch_size=128)
    print(lookalike.evaluate(run, metrics=("modes_found", "high_quality")))
    pictures.append(points(lookalike.load(run).sample(1000, seed=0), real, names=(recipe, "")))
stack(pictures).save("runs/04/modes.png")
print("samples of both over data: runs/04/modes.png")
