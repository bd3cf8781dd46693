"""Every metric by name: one function and one entry here; tasks read nothing but this table.

An entry says where each argument of its function comes from, in the words of the evidence that
`lookalike.tasks.evaluate` can gather of a model and data:

    of each item    x, x_hat                real items and their reconstructions, images in [0, 1], rows standardised
                    log_prob                nats: log p(x), or a bound on it
                    exact_log_prob          ... of a model that has it exactly
                    importance_log_prob     ... the importance-weighted bound of a model that has one
                    log_weights             the importance weights behind it
                    log_density             of the truth, where it is known
                    code                    posterior means of a model that has a posterior
    of the whole    real, fake              features of the real items, and of samples
                    real_moments, ...       the moments of these; also train_moments, of as many training items
                    fake_logits             class logits of samples, where the feature space gives such
                    class_shares            of the classes in the training split
                    fake_to_train, ...      distances to the nearest of all training items; also real_to_train
                    path                    features at two near points of a way between draws of the prior
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
from .copying import copying
from .distances import frechet_estimate, kernel_distance
from .judged import inception_score
from .latent import active_units
from .likelihood import bits_per_dim, effective_samples, kl_to_truth, nats
from .modes import classes_found, classes_reverse_kl, high_quality, modes_found, reverse_kl
from .neighbours import prdc
from .paths import EPSILON, path_length
from .reconstruction import mse, psnr, ssim
from .twosample import two_sample_test


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
_FRECHET = {"bias": "upwards, the more the fewer the items and samples", "standard error": "delta method"}
_CLASSES = {"logits": "fake_logits", "shares": "class_shares"}
_TWO_SAMPLE = {"classifier": "k nearest neighbours, k the root of the training half", "held out": "half"}
_BOOTSTRAP = {"standard error": "bootstrap, 200 resamples"}


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
        frechet_estimate,
        {"real": "real_moments", "fake": "fake_moments"},
        "lower",
        protocol=_FRECHET,
    ),
    "frechet_floor": MetricEntry(
        "frechet_distance of items of the training split: as good as samples get",
        frechet_estimate,
        {"real": "real_moments", "fake": "train_moments"},
        "lower",
        protocol=_FRECHET,
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
    "inception_score": MetricEntry(
        "samples each clearly of a class, and all classes among them; by the classifier of the feature space",
        inception_score,
        {"logits": "fake_logits"},
        "higher",
        kinds=("images",),
        options={"splits": 10},
    ),
    "path_length": MetricEntry(
        "perceptual path length: how far features move as the code moves a little",
        path_length,
        {"path": "path"},
        "lower",
        kinds=("images", "points"),
        options={"epsilon": EPSILON},
    ),
    "two_sample_accuracy": MetricEntry(
        "how well a classifier tells samples from real items it has not seen; 0.5 for the truth",
        two_sample_test,
        _SAMPLES,
        "lower",
        part="accuracy",
        protocol=_TWO_SAMPLE,
    ),
    "two_sample_p": MetricEntry(
        "chance of such an accuracy if samples were data",
        two_sample_test,
        _SAMPLES,
        "higher",
        part="p_value",
        protocol=_TWO_SAMPLE,
    ),
    "copying": MetricEntry(
        "share of pairs in which a sample is nearer to the training items than a real item; 0.5 for the truth",
        copying,
        {"fake_to_train": "fake_to_train", "real_to_train": "real_to_train"},
        "lower",
    ),
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
    "reverse_kl": MetricEntry(
        "KL from the shares of the modes to those of the samples nearest to them",
        reverse_kl,
        {"fake": "samples", "modes": "modes"},
        "lower",
        "nats",
        kinds=("points",),
        protocol=_BOOTSTRAP,
    ),
    "classes_found": MetricEntry(
        "classes of the data that a sample is taken for, by a classifier of them",
        classes_found,
        _CLASSES,
        "higher",
        kinds=("images",),
    ),
    "classes_reverse_kl": MetricEntry(
        "KL from the shares of the classes to those of the samples taken for them",
        classes_reverse_kl,
        _CLASSES,
        "lower",
        "nats",
        kinds=("images",),
        protocol=_BOOTSTRAP,
    ),
}
