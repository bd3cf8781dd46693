"""What `docs/make.py` draws of codes, beside the demo: groups, a map, sources, a direction, sizes of a code.

python docs/uses.py        into runs/docs; some four minutes of one core, taken up where it was stopped
"""

from __future__ import annotations

from pathlib import Path

import lookalike

HOME = Path("runs/docs")


def draw(home: Path = HOME) -> None:
    """The pictures of codes.md and separate.md, from two trainings and a study."""
    code = lookalike.train("deep-ae", "mnist-5k", latent=24, steps=2000, out=home / "deep-ae-24", resume=True)
    plane = lookalike.train(
        "mlp-vae", "mnist-5k", binarize="threshold", latent=2, steps=3000, out=home / "plane", resume=True
    )
    lookalike.cluster(code, k=10, limit=2000, out=home / "clusters.csv", overwrite=True)
    lookalike.map(plane, split="test", limit=2000, out=home / "map.png", overwrite=True)
    lookalike.direction(code, like=("7",), unlike=("1",), out=home / "direction.png", overwrite=True)
    how = {"weights": (1.0, 1.0), "n": 12, "out": home / "separate.png", "overwrite": True}
    lookalike.separate((str(code.path), str(code.path)), **how)
    how = {"sizes": (1, 2, 4, 8, 16, 32), "steps": 1000, "out": home / "sizes", "resume": True}
    lookalike.bottleneck("deep-ae", "digits", **how)


if __name__ == "__main__":
    draw()
