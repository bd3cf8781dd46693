"""Every combination that contradicts itself is refused with its reason, and each entry of the table has a case here."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lookalike.errors import UserError
from lookalike.models.implicit.gan.builders import gan
from lookalike.models.implicit.gan.refusals import REFUSALS
from lookalike.spec import Column, Kind, Spec

IMAGES = Spec("images", (1, 9, 8), levels=256, classes=("u", "v", "w"))
POINTS = Spec("points", (2,), columns=(Column("a"), Column("b")), classes=("u", "v", "w"))
TABLE = Spec("table", (2,), columns=(Column("a"), Column("town", ("Bern", "Oslo"))))
SPECS: dict[Kind, Spec] = {"points": POINTS, "images": IMAGES, "table": TABLE}
FREE: dict[str, Any] = {"penalty": "none"}
ENERGY: dict[str, Any] = {"objective": "energy", "critic": "autoencoder", **FREE}
BATCH: dict[str, Any] = {"discriminator_norm": "batch"}

CASES: dict[str, list[tuple[Kind, dict[str, Any], str]]] = {
    "labels": [("table", {"condition": "concat"}, "needs labels")],
    "normalised rows": [("points", {"generator_norm": "batch"}, "those of points have none")],
    "free slopes": [("points", {"objective": "wasserstein", **FREE}, "no lowest value")],
    "penalty in a batch": [
        ("images", {"penalty": "r1", **BATCH}, "rest of its batch"),
        ("points", {"discriminator": nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1))}, "rest of its batch"),
    ],
    "spectral in a batch": [("images", {"constraint": "spectral", **FREE, **BATCH}, "rest of its batch")],
    "energy of a logit": [
        ("points", {"objective": "energy"}, "a scalar critic may be"),
        ("images", {"objective": "boundary", "critic": "patch"}, "a patch critic may be"),
    ],
    "sign of an energy": [("points", {"objective": "hinge", "critic": "autoencoder"}, "hinge .* never above 0")],
    "changes of a row": [("points", {"augment": ("translation",)}, "this data is points")],
    "strength of no change": [("images", {"augment_strength": 0.5}, "which is not given")],
    "steps of no noise": [("points", {"noise_steps": 100}, "which is 0")],
    "packs by label": [
        ("points", {"pack": 2, "condition": "concat"}, "a pack of 2 items"),
        ("images", {"pack": 3, "categorical_codes": (4,)}, "a pack of 3 items"),
    ],
    "patches of a row": [("table", {"critic": "patch"}, "table have no patches")],
    "patches by label": [
        ("images", {"critic": "patch", "condition": "projection"}, "not told of each patch"),
        ("images", {"critic": "patch", "categorical_codes": (3,)}, "not told of each patch"),
    ],
    "energy by label": [("points", {**ENERGY, "condition": "concat"}, "without labels and codes")],
    "patches of your own": [("images", {"critic": "patch", "discriminator": nn.Flatten()}, "leave out --critic patch")],
    "pull-away without a code": [
        ("points", {"pull_away": 0.1}, "codes of samples"),
        ("points", {**ENERGY, "pull_away": 0.1, "discriminator": nn.Linear(2, 2)}, "codes of samples"),
    ],
    "one label for both": [
        ("points", {"objective": "lsgan", "coding": (1.0, 1.0, 0.0)}, "neither b nor c may be a"),
        ("points", {"objective": "lsgan", "coding": (0.0, 1.0, 0.0)}, "neither b nor c may be a"),
    ],
    "boundary's numbers": [("points", {"diversity": 0.5}, "the objective is relativistic")],
    "numbers of no penalty": [
        ("points", {"objective": "hinge", **FREE, "penalty_weight": "auto"}, "--penalty is none"),
        ("points", {"objective": "hinge", **FREE, "penalty_target": 1.0}, "--penalty is none"),
    ],
    "schedule of no penalty": [("points", {"objective": "hinge", **FREE, "penalty_halflife": 4}, "--penalty is none")],
    "one side of 0": [
        ("points", {"penalty": "r1", "one_sided": True}, "no slope is below 0"),
        ("points", {"penalty": "wgan-gp", "penalty_target": 0.0, "one_sided": True}, "no slope is below 0"),
    ],
    "bound of nothing": [("points", {"bound": 0.1}, "the constraint is none")],
    "an energy's slopes": [
        ("points", {"objective": "wasserstein", "critic": "autoencoder", **FREE, "constraint": "clip"}, "do not bound"),
    ],
}


def items(spec: Spec) -> torch.Tensor:
    if spec.kind == "images":
        return torch.randint(0, spec.levels, (6, *spec.shape)) / (spec.levels - 1)
    x = torch.randn(6, *spec.shape, dtype=torch.float64)
    return x if spec.kind == "points" else torch.stack([x[:, 0], (x[:, 1] > 0).double()], dim=1)


def test_every_refusal_has_a_case():
    assert set(CASES) == set(REFUSALS)


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in CASES.items() for case in cases])
def test_a_contradiction_is_refused_with_its_reason(name, case):
    kind, options, reason = case
    with pytest.raises(UserError, match=reason):
        gan(SPECS[kind], **{"latent": 5, "width": 8, **options})


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        ("points", {"margin": 1.0}, "is a number of energy, and the objective is relativistic"),
        ("points", {"generator": nn.Linear(5, 3)}, r"needs \(B, 2\)"),
        ("points", {"discriminator": nn.Linear(2, 2)}, r"needs \(B, 1\)"),
        ("points", {**ENERGY, "discriminator": nn.Linear(2, 1)}, r"needs \(B, 2\)"),
    ],
)
def test_numbers_and_networks_that_do_not_fit_are_refused(kind, options, reason):
    with pytest.raises(UserError, match=reason):
        gan(SPECS[kind], **{"latent": 5, "width": 8, **options})


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("images", {"critic": "patch"}),
        ("images", {"critic": "patch", "condition": "concat", "penalty": "wgan-gp", "objective": "wasserstein"}),
        ("images", {"critic": "patch", "objective": "hinge", "constraint": "spectral", **FREE, "block": "plain"}),
        ("points", {**ENERGY, "constraint": "spectral", "pull_away": 0.2, "margin": 2.0}),
        ("images", {"objective": "boundary", "critic": "autoencoder", "error": "absolute", **FREE}),
        ("table", {"objective": "relativistic-average", "critic": "autoencoder", "penalty": "r1"}),
        ("points", {"objective": "lsgan", "coding": (-1.0, 1.0, 0.0), "penalty": "wgan-gp", "penalty_target": 0.0}),
        ("points", {"objective": "minimax", "smoothing": 0.1, "penalty": "dragan", "one_sided": True}),
        ("table", {"objective": "wasserstein", "constraint": "clip", "bound": 0.1, **FREE, "n_critic": 3}),
        ("images", {"penalty_weight": "auto", "penalty_every": 2, "penalty_halflife": 10, "condition": "projection"}),
        ("points", {**ENERGY, "discriminator": nn.Sequential(nn.Linear(2, 1), nn.Tanh(), nn.Linear(1, 2))}),
    ],
)
def test_what_does_not_contradict_itself_builds_and_plays(kind, options):
    """Slots are independent: any combination that is not refused gives finite losses to both players."""
    spec = SPECS[kind]
    model = gan(spec, **{"latent": 5, "width": 8, **options})
    x = items(spec)
    y = torch.tensor([0, 1, 2, 0, 1, 2]) if model.conditional else None
    for step in range(2):
        for turn in model.turns(x, y, step):
            own = [p for p in model.players()[turn.player].parameters() if p.requires_grad]
            turn.loss.backward(inputs=own)
            assert turn.loss.isfinite()
            assert sum(p.grad.abs().sum() for p in own if p.grad is not None) > 0
            assert all(value.isfinite() for value in turn.logs.values())
    loss, real_logits, fake_logits = model.judge(x, model.sample(6, y, seed=0), y)
    assert loss.shape == ()
    assert real_logits.shape == fake_logits.shape == (6,)
