"""What `docs/make.py` draws of repair.md: noise taken out by a network trained for it, and halves drawn by a VAE.

python docs/repairs.py        into runs/docs; some four minutes of one core, taken up where it was stopped
"""

from __future__ import annotations

from pathlib import Path

import lookalike

HOME = Path("runs/docs")


def draw(home: Path = HOME) -> None:
    """The pictures of repair.md, from two trainings."""
    how = {"corruption": ("gaussian", "box"), "steps": 1500, "ema": 0.995, "out": home / "restorer", "resume": True}
    restorer = lookalike.train("restorer", "mnist-5k", **how)
    lookalike.denoise(restorer, noise="gaussian", n=8, out=home / "denoise.png", overwrite=True)
    how = {"binarize": "threshold", "latent": 16, "steps": 1500, "out": home / "mlp-vae-16", "resume": True}
    vae = lookalike.train("mlp-vae", "mnist-5k", **how)
    lookalike.inpaint(vae, mask="left", n=8, out=home / "inpaint.png", overwrite=True)


if __name__ == "__main__":
    draw()
