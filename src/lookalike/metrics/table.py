"""Every metric by name: one function and one entry here; tasks read nothing but this table.

An entry says where each argument of its function comes from, in the words of the evidence that
`lookalike.tasks.evaluate` can gather of a model and data:

    of each item    x, x_hat                real items and their reconstructions, images in [0, 1], rows standardised
                    log_prob                nats: log p(x), or a bound on it
                    exact_log_prob          ... of a model that has it exactly
                    importance_log_prob     ... the importance-weighted bound of a model that has one
                    log_weights             the importance weights behind it
                    log_density             of the truth, where it is known
                    real                    features of the real items
                    code                    posterior means of a model that has a posterior
    of the whole    fake, train             features of samples, and of as many items of the training split
                    samples                 in the user's units
                    modes, sigma            of the truth, where it is a mixture of round Gaussians
                    dims                    numbers in one item
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..report import MetricKind
from ..spec import KINDS, Kind
from .distances import frechet_distance, kernel_distance
from .latent import active_units
from .likelihood import bits_per_dim, effective_samples, kl_to_truth, nats
from .modes import high_quality, modes_found
from .neighbours import prdc
from .reconstruction import mse, psnr, ssim


@dataclass(frozen=True)
class MetricEntry:
    """A metric as it is listed, computed and reported.

    Arguments:
        summary: one line.
        function: gives one value an item, shape (N,), whose mean is reported with its standard error; one
            value, shape (); an `Estimate`; or several of these, by name.
        evidence: for each argument of the function, what it is (see the words above).
        better: which way is better.
        unit: of the value.
        kind: of the value; "likelihood" where it is exact or a bound as the model's log_prob is.
        kinds: of data it makes sense for.
        per_item: whether the function may be given the items a part at a time.
        part: which of several it is; they are computed once for all entries that are alike but for the part.
        options: further arguments, which the protocol states.
        protocol: what else the protocol states.
    """

    summary: str
    function: Callable[..., Any]
    evidence: Mapping[str, str]
    better: Literal["higher", "lower"]
    unit: str = ""
    kind: MetricKind | Literal["likelihood"] = "estimate"
    kinds: tuple[Kind, ...] = KINDS
    per_item: bool = False
    part: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)


_SAMPLES = {"real": "real", "fake": "fake"}
_PAIRS = {"x": "x", "x_hat": "x_hat"}
_MODES = {"fake": "samples", "modes": "modes", "sigma": "sigma"}
_BIAS = {"bias": "upwards, the more the fewer the items and samples"}


def _likelihood(summary: str, unit: str, log_prob: str = "log_prob") -> MetricEntry:
    per_dim = unit == "bits/dim"
    return MetricEntry(
        summary,
        bits_per_dim if per_dim else nats,
        {"log_prob": log_prob, "dims": "dims"} if per_dim else {"log_prob": log_prob},
        "lower",
        unit,
        "likelihood",
        ("images",) if per_dim else KINDS,
        per_item=True,
    )


def _of_neighbours(part: str, summary: str) -> MetricEntry:
    return MetricEntry(summary, prdc, _SAMPLES, "higher", part=part, options={"neighbours": 5})


METRICS: dict[str, MetricEntry] = {
    "nats": _likelihood("-log p(x) of an item", "nats"),
    "bits_per_dim": _likelihood("length of a lossless code for a pixel's channel", "bits/dim"),
    "nats_iw": _likelihood("-log p(x) of an item, importance-weighted", "nats", "importance_log_prob"),
    "bits_per_dim_iw": _likelihood("bits/dim, importance-weighted", "bits/dim", "importance_log_prob"),
    "effective_samples": MetricEntry(
        "how many of the importance samples count, (sum w)^2 / sum w^2 in the mean over items",
        effective_samples,
        {"log_weights": "log_weights"},
        "higher",
        per_item=True,
    ),
    "kl_to_truth": MetricEntry(
        "KL(p_true || p), where the truth is known",
        kl_to_truth,
        {"log_density": "log_density", "log_prob": "exact_log_prob"},
        "lower",
        "nats",
        per_item=True,
    ),
    "active_units": MetricEntry(
        "numbers of the code that carry information: whose posterior mean varies over items",
        active_units,
        {"code": "code"},
        "higher",
        options={"threshold": 0.01},
    ),
    "mse": MetricEntry("squared error of reconstructions", mse, _PAIRS, "lower", kind="exact", per_item=True),
    "psnr": MetricEntry(
        "signal to noise of reconstructions",
        psnr,
        _PAIRS,
        "higher",
        "dB",
        "exact",
        ("images",),
        per_item=True,
        protocol={"averaged": "over images"},
    ),
    "ssim": MetricEntry(
        "structural similarity of reconstructions",
        ssim,
        _PAIRS,
        "higher",
        kind="exact",
        kinds=("images",),
        per_item=True,
        options={"window": 11, "sigma": 1.5},
        protocol={"smaller images": "the largest odd window that fits"},
    ),
    "frechet_distance": MetricEntry(
        "of Gaussians fitted to features of real items and samples",
        frechet_distance,
        _SAMPLES,
        "lower",
        protocol=_BIAS,
    ),
    "frechet_floor": MetricEntry(
        "frechet_distance of items of the training split: as good as samples get",
        frechet_distance,
        {"real": "real", "fake": "train"},
        "lower",
        protocol=_BIAS,
    ),
    "kernel_distance": MetricEntry(
        "unbiased squared MMD of features, the kernel of KID; may fall below 0",
        kernel_distance,
        _SAMPLES,
        "lower",
        protocol={"kernel": "(x.y / D + 1)^3", "standard error": "jackknife"},
    ),
    "precision": _of_neighbours("precision", "share of samples near a real item"),
    "recall": _of_neighbours("recall", "share of real items near a sample"),
    "density": _of_neighbours("density", "how densely real items surround samples; 1 for the truth"),
    "coverage": _of_neighbours("coverage", "share of real items with a sample among their neighbours"),
    "modes_found": MetricEntry(
        "modes of the truth with a sample within 3 sigma",
        modes_found,
        _MODES,
        "higher",
        kinds=("points",),
    ),
    "high_quality": MetricEntry(
        "share of samples within 3 sigma of a mode; 0.989 for the truth in two dimensions",
        high_quality,
        _MODES,
        "higher",
        kinds=("points",),
    ),
}
