"""Each signal speaks where it must and holds its tongue where it must; the figures behind it are what they say."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lookalike.data import open_data
from lookalike.data.base import Data, InMemory, Split
from lookalike.models.base import Encoder, Implicit, Model
from lookalike.recipe import find, recipes
from lookalike.spec import Column, Spec
from lookalike.training.flaws import flaws
from lookalike.training.health import Finding, healthy_at, looks_at
from lookalike.training.health import judge as judge_looks
from lookalike.training.signals import SIGNALS
from lookalike.training.vitals import Vitals

Records = list[dict[str, Any]]


def judge(records: Records, *, over: bool = False) -> list[Finding]:
    return judge_looks(looks_at(records), over=over)


def health(*figures: dict[str, float]) -> Records:
    """A training's milestones with these figures, evenly over it."""
    n = len(figures)
    return [{"step": 100 * (i + 1), "split": "health", "progress": (i + 1) / n, **f} for i, f in enumerate(figures)]


def log(**series: list[float]) -> Records:
    n = len(next(iter(series.values())))
    return [{"step": 10 * (i + 1), "split": "train", **{k: v[i] for k, v in series.items()}} for i in range(n)]


def valid(*values: float) -> Records:
    return [{"step": i, "split": "valid", "bits_per_dim": value} for i, value in enumerate(values)]


def steady(fine: dict[str, float], ill: dict[str, float]) -> tuple[Records, Records]:
    return health(*[fine] * 8), health(*[fine] * 4, *[ill] * 4)


FALL = [1.0 + 3 * 0.9**i for i in range(40)]
CASES: dict[str, tuple[Records, Records]] = {
    "not finite": (health({"not_finite": 0}), health({"not_finite": 4})),
    "rolled back": (health({"rollbacks": 0}), health({"rollbacks": 2})),
    "not moving": (log(update_ratio_generator=[1e-3] * 9), log(update_ratio_generator=[1e-3] * 5 + [0.0] * 4)),
    "long steps": (log(update_ratio=[1e-2] * 9), log(update_ratio=[1e-2] * 5 + [2.0] * 4)),
    "vanishing gradients": (log(gradient_norm=[1.0] * 10 + [1e-2] * 9), log(gradient_norm=[1.0] * 10 + [1e-9] * 9)),
    "exploding gradients": (log(gradient_norm=[1.0] * 10 + [30.0] * 9), log(gradient_norm=[1.0] * 10 + [1e5] * 9)),
    "diverges": (log(loss=FALL), log(loss=FALL + [5.0] * 10)),
    "learns by heart": (valid(4, 3, 2, 1.5, 1.4, 1.45, 1.4, 1.5, 1.4), valid(4, 3, 2, 1.5, 1.2, 2, 4, 8, 16, 32, 64)),
    "spread": steady({"spread": 0.9}, {"spread": 0.01}),
    "rank": steady({"rank": 0.8}, {"rank": 0.05}),
    "missing modes": steady({"missing": 0.0, "coverage": 0.9}, {"missing": 0.6, "coverage": 0.3}),
    "support": steady({"support": 0.9}, {"support": 0.01}),
    "discriminator wins": steady({"win": 0.5}, {"win": 0.9999}),
    "critic runs away": (
        log(real_logits=[3.0] * 9, fake_logits=[-4.0] * 9),
        log(real_logits=[1e4] * 9, fake_logits=[-1e4] * 9),
    ),
    "discriminator memorises": steady(
        {"memorises": 0.7, "memorises_error": 0.08}, {"memorises": 0.95, "memorises_error": 0.08}
    ),
    "posterior collapse": steady({"active": 0.5, "latent": 20}, {"active": 0.0, "latent": 20}),
    "code ignored": steady({"decoded": 0.7}, {"decoded": 0.001}),
    "dead units": steady({"dead": 0.2}, {"dead": 1.0}),
    "copies": steady({"copied": 0.11, "copied_by_chance": 0.1}, {"copied": 0.9, "copied_by_chance": 0.1}),
    "flat border": steady({"border": 0.0}, {"border": 1.0}),
    "duplicates": (health({"duplicates": 0.0, "one_value": 0.01}), health({"duplicates": 0.6, "one_value": 0.01})),
    "leak": (health({"leaked": 0.3, "expected": 0.3}), health({"leaked": 0.3, "expected": 0.0})),
    "stuck pixels": (health({"stuck": 0}), health({"stuck": 12})),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_speaks_where_it_must_and_only_there(name: str) -> None:
    fine, ill = CASES[name]
    (quiet,) = [f for f in judge(fine, over=True) if f.signal == name]
    assert (quiet.level, quiet.action, quiet.since_step) == ("ok", "", None)
    assert quiet.sentence.endswith(".")
    (loud,) = [f for f in judge(ill, over=True) if f.signal == name]
    assert loud.level == ("warn" if name == "rolled back" else "bad")
    assert loud.action.endswith(".")
    assert loud.since_step is not None
    assert loud.evidence
    assert [f.level for f in judge(ill, over=True) if f.signal != name and f.level != "ok"] == []


def test_a_finding_is_since_the_first_of_the_looks_that_agree() -> None:
    fine, ill, worse = {"spread": 1.0}, {"spread": 0.1}, {"spread": 0.01}
    records = health(fine, fine, fine, ill, fine, ill, worse, worse)
    (finding,) = judge(records)
    assert (finding.level, finding.since_step) == ("bad", 700)
    assert judge(records[:-1])[0].since_step == 600  # of the level warn
    assert judge(records[:6])[0].level == "ok", "one look is no finding"


def test_before_its_time_a_signal_is_silent() -> None:
    assert judge(health({"spread": 0.0}, *[{"spread": 1.0}] * 9)[:1], over=True) == []


def test_rates_that_run_out_are_no_standstill() -> None:
    """The cosine takes the rate to zero: the steps become as small as they should."""
    rates = [1e-3 * (1 - i / 20) for i in range(21)]
    assert judge(log(update_ratio=[10 * rate * (rate > 1e-5) for rate in rates], lr=rates))[0].level == "ok"


def test_the_last_healthy_checkpoint_is_the_newest_before_anything_was_bad() -> None:
    fine, ill = {"spread": 1.0}, {"spread": 0.0}
    records = looks_at(health(fine, fine, fine, fine, ill, ill))
    assert healthy_at(records, [100, 300, 400, 500, 600]) == 400
    assert healthy_at(records, [500, 600]) is None
    assert healthy_at(looks_at(health(fine, fine, ill, ill, fine)), [400, 500]) == 500, "it recovered"


SPEC = Spec("points", (2,), columns=(Column("x"), Column("y")))


class Draws(Implicit):
    """Samples are given items."""

    def __init__(self, items: Tensor) -> None:
        super().__init__(SPEC)
        self.items, self.weight = items, nn.Parameter(torch.zeros(1))

    def turns(self, *_: Any) -> Any: ...

    def sample(self, n: int, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        return self.items[:n]


def points(n: int = 4000) -> Data:
    x = torch.randn(n, 2, dtype=torch.float64) + 10 * torch.randint(0, 2, (n, 1))
    return Data("points", SPEC, *(Split(InMemory(x[i::3])) for i in range(3)))


def test_samples_as_good_as_data_are_as_varied_and_lack_nothing() -> None:
    data = points()
    held, _ = data.valid.first(1000)
    figures = Vitals(data, 0, None, thorough=True)(Draws(held))
    for name in ("spread", "rank"):
        assert figures[name] == pytest.approx(1, abs=0.1)
    assert 0.7 < figures["support"] < 1.4
    assert figures["missing"] == 0
    assert figures["coverage"] > 0.93  # 1 - 2^-5 = 0.97 in expectation
    assert figures["copied"] == pytest.approx(figures["copied_by_chance"], abs=0.08)


def test_samples_that_are_one_or_half_of_the_data_are_seen() -> None:
    data = points()
    held, _ = data.valid.first(1000)
    one = Vitals(data, 0, None, thorough=True)(Draws(held[:1].expand(1000, 2)))
    assert one["spread"] < 1e-6
    assert one["support"] == pytest.approx(0.01)
    half = Vitals(data, 0, None, thorough=True)(Draws(held[held[:, 0] > 5].repeat(2, 1)[torch.randperm(1000) % 400]))
    assert half["missing"] == pytest.approx(0.5, abs=0.06)
    assert half["coverage"] < 0.6


def test_copies_of_training_items_are_told_from_new_ones() -> None:
    data = points()
    items, _ = data.train.first(1000)
    assert Vitals(data, 0, None, thorough=True)(Draws(items + 1e-6))["copied"] > 0.99


class Codes(Encoder, Model):
    """A code of three numbers, of which the last is always 0; its decoder heeds `heeds` of it."""

    latent = 3

    def __init__(self, heeds: float) -> None:
        super().__init__(SPEC)
        self.heeds, self.net = heeds, nn.Sequential(nn.Linear(2, 4), nn.ReLU())
        with torch.no_grad():
            self.net[0].weight.copy_(torch.tensor([[1.0, 0], [0, 1], [0, 0], [0, 0]]))
            self.net[0].bias.copy_(torch.tensor([50.0, 50, -1, 1]))

    def turns(self, *_: Any) -> Any: ...

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net(x.float())[:, :3]

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.heeds * (z[:, :2].double() - 50)


def test_a_code_of_which_a_part_is_idle_and_a_decoder_that_ignores_it() -> None:
    figures = Vitals(points(), 0, None)(Codes(1.0))
    assert figures["active"] == pytest.approx(2 / 3)
    assert figures["decoded"] == pytest.approx(1)
    assert figures["dead"] == 1 / 4  # the unit of bias -1
    assert Vitals(points(), 0, None)(Codes(0.0))["decoded"] == 0


def test_flaws_of_data_are_counted() -> None:
    data = open_data("digits")
    assert flaws(data) == {**flaws(data), "leaked": 0, "duplicates": 0, "stuck": 0}
    items = data.train.source.take(torch.arange(len(data.train))).clone()
    held = data.valid.source.take(torch.arange(len(data.valid)))
    items[:100] = items[100:200]
    items[200 : 200 + len(held)] = held
    items[:, :, 3, 3] = 7
    held = held.clone()
    held[:, :, 3, 3] = 7
    ill = dataclasses.replace(
        data, train=Split(InMemory(items), levels=17), valid=Split(InMemory(held), levels=17), test=data.test
    )
    found = flaws(ill)
    assert found["stuck"] == 1
    assert found["duplicates"] == pytest.approx(100 / len(items), abs=1e-6)
    assert found["leaked"] == pytest.approx(len(held) / (len(held) + len(data.test)), abs=0.01)


def test_short_trainings_are_measured_at_fewer_milestones() -> None:
    data = points()
    few, many = Vitals(data, 0, 100), Vitals(data, 0, 10**6)
    assert [k for k in range(1, 21) if many.due(k)] == list(range(1, 21))
    assert many.n > few.n
    assert not any(few.due(k) for k in range(1, 21))


@pytest.mark.parametrize("name", recipes())
def test_any_model_can_be_measured_and_its_figures_judged(name: str) -> None:
    recipe = find(name)
    data = open_data("iris" if "table" in recipe.kinds else "digits")
    model = recipe.resolved(data.spec.kind).model(data.spec).eval()
    before = [p.clone() for p in model.state_dict().values()]
    figures = Vitals(data, 0, 10**4)(model)
    assert all(map(torch.equal, before, model.state_dict().values())), "looking changed the model"
    assert all(math.isfinite(value) for value in figures.values())
    judge([{"step": 1, "split": "health", "progress": 1.0, **figures}], over=True)
