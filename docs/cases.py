"""What `docs/make.py` trains and measures: cases by section of results.md."""

from __future__ import annotations

from typing import Any, NamedTuple


class Case(NamedTuple):
    """A recipe on data, with the options it has there.

    Arguments:
        name: of its folder of runs, where recipe and data do not tell it from others.
        asked: what it is to reach, in words.
        stands: what others report.
        evaluate: options of `evaluate`.
    """

    recipe: str
    data: str
    options: dict[str, Any] = {}
    name: str = ""
    asked: str = ""
    stands: str = ""
    evaluate: dict[str, Any] = {}

    @property
    def folder(self) -> str:
        """Name of its run."""
        return self.name or f"{self.recipe}-{self.data}"


class Section(NamedTuple):
    """Cases that are measured by the same metrics."""

    cases: list[Case]
    metrics: tuple[str, ...]
    words: str = ""


BINARY = {"binarize": "dynamic"}
IW = {"importance_samples": 1000}

FIGURES = "Likelihoods beside published ones"

SECTIONS: dict[str, Section] = {
    "Images: mnist-5k, 28x28, 256 levels": Section(
        [Case(r, "mnist-5k") for r in ("linear-ae", "deep-ae", "conv-ae", "vae", "beta-vae", "realnvp", "r3", "dcgan")],
        ("bits_per_dim", "bits_per_dim_iw", "psnr", "ssim", "frechet_distance", "frechet_floor", "coverage"),
    ),
    "Binary images: mnist-5k, drawn anew each time": Section(
        [Case(r, "mnist-5k", BINARY) for r in ("mlp-vae", "ladder-vae", "made", "pixelcnn")],
        ("nats", "nats_iw", "frechet_distance", "frechet_floor", "coverage"),
    ),
    "Small images: digits, 8x8, 17 levels": Section(
        [Case(r, "digits") for r in ("vae", "pixelcnn", "pixelcnn++", "realnvp", "glow", "r3")],
        ("bits_per_dim", "bits_per_dim_iw", "frechet_distance", "frechet_floor", "coverage"),
    ),
    "Points in the plane": Section(
        [
            Case(r, d)
            for d in ("moons", "checkerboard", "ring8", "grid25")
            for r in ("ppca", "vae", "made", "realnvp", "spline", "r3", "wgan-gp")
        ],
        ("nats", "kl_to_truth", "modes_found", "high_quality", "frechet_distance", "frechet_floor"),
    ),
    "Tables": Section(
        [
            Case(r, d)
            for d in ("breast-cancer", "diabetes")
            for r in ("linear-ae", "factor-analysis", "vae", "made", "realnvp", "r3")
        ],
        ("nats", "mse", "frechet_distance", "frechet_floor", "coverage"),
    ),
    FIGURES: Section(
        [
            Case(
                "wide-mlp-vae",
                "mnist",
                {**BINARY, "minutes": 22.0, "clock": "processor"},
                "wide-mlp-vae",
                "<= 86.5 nats",
                "87.4",
                IW,
            ),
            Case("mlp-vae", "mnist", BINARY, "mlp-vae", "its own figure", "96.9", IW),
            Case(
                "pixelcnn",
                "mnist",
                {**BINARY, "minutes": 100.0, "width": 40, "optimiser": "adam", "lr": 0.002, "batch_size": 16},
                "pixelcnn",
                "<= 80.0 nats",
                "81.50",
                {"limit": 2000},
            ),
            Case(
                "pixelsnail",
                "mnist",
                {**BINARY, "minutes": 60.0, "clock": "processor", "optimiser": "muon", "lr": 0.0015, "ema": 0.998},
                "pixelsnail",
                "<= 78.3 nats",
                "78.61",
                {"limit": 2000},
            ),
            Case(
                "ladder-vae",
                "mnist-static",
                {"minutes": 50.0, "precision": "bf16"},
                "ladder-vae",
                "<= 79.0 nats",
                "78.30 to 79.24",
                {**IW, "limit": 500},
            ),
            Case(
                "diagonal-bilstm",
                "mnist-static",
                {"minutes": 35.0, "clock": "processor", "optimiser": "muon", "lr": 0.0015},
                "diagonal-bilstm",
                "<= 79.9 nats",
                "79.20",
                {"limit": 2000},
            ),
            Case(
                "glow",
                "mnist",
                {"minutes": 40.0, "lr": 0.002},
                "glow",
                "<= 1.05 bits/dim",
                "1.05",
                {"limit": 1000},
            ),
            Case(
                "glow",
                "fashion-mnist",
                {"minutes": 12.0, "lr": 0.002},
                "glow-fashion",
                "a stated figure",
                "",
                {"limit": 1000},
            ),
            Case(
                "glow",
                "cifar10",
                {"minutes": 15.0, "clock": "processor", "lr": 0.002},
                "glow-cifar10",
                "a stated figure",
                "",
                {"limit": 300},
            ),
        ],
        ("nats", "nats_iw", "bits_per_dim"),
        "On the test split of data as others have it: MNIST drawn binary anew each time (`--binarize dynamic`), the\n"
        "fixed binary MNIST, and images of 256 levels. What was asked was asked of at most two hours of two cores;\n"
        "each row says the minutes it had of one, shared with other work, and is a miss where it is one.",
    ),
}
