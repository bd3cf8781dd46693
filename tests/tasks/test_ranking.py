"""What is better, what is a tie, and what may not be ranked at all; the advice says no more than the figures."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from lookalike.recipe import recipes
from lookalike.spec import KINDS
from lookalike.tasks._advice import CHOOSING, QUESTIONS, advice, better
from lookalike.tasks._job import MEASURED
from lookalike.tasks._lineup import GOOD, lineup
from lookalike.tasks._mixed import mixed
from lookalike.tasks._ranking import STUDENT, Figure, best, differ, figures, groups, tightest
from lookalike.tasks.catalog import family

CAN = {"reconstruct": "yes", "likelihood": "exact"}


def figure(recipe: str, *values: float, kind: str = "exact", error: float = 0.0, **protocol: Any) -> Figure:
    return Figure(recipe, values, (error,) * len(values), kind, "nats", protocol)


def result(recipe: str, seed: int, **values: Any) -> dict[str, Any]:
    """What a job says: each value a number, or (number, kind, protocol)."""
    of: dict[str, Any] = {}
    for name, value in values.items():
        number, kind, protocol = value if isinstance(value, tuple) else (value, "exact", {"items": 100})
        saved = {"value": number, "standard_error": None, "kind": kind, "unit": "", "protocol": protocol}
        of[name] = saved
    facts = {"recipe": recipe, "seed": seed, "steps": 5, "can": CAN, "score": "likelihood", "latent": 2, "skipped": {}}
    return {**facts, "figures": {"valid": of, "test": of}}


def test_figures_differ_beyond_students_spread_and_else_tie() -> None:
    """By hand: two seeds each, both with deviation s: t has 2 degrees of freedom, s is the error of a difference."""
    a = figure("a", 0.0, 0.2)
    s = 0.2 / math.sqrt(2)
    edge = STUDENT[1] * s
    assert not differ(a, figure("b", 0.98 * edge, 0.98 * edge + 0.2))
    assert differ(a, figure("b", 1.02 * edge, 1.02 * edge + 0.2))
    # A solved model's seeds are alike: nothing but a difference is left to see.
    assert differ(figure("c", 1.0, 1.0), figure("d", 1.001, 1.001))
    assert not differ(figure("c", 1.0, 1.0), figure("d", 1.0, 1.0))
    assert differ(figure("e", math.inf, math.inf), a)


def test_of_one_seed_the_standard_error_is_the_spread() -> None:
    assert not differ(figure("a", 1.0, error=0.3), figure("b", 1.8, error=0.3))
    assert differ(figure("a", 1.0, error=0.3), figure("b", 1.9, error=0.3))
    assert not differ(figure("a", 1.0), figure("b", 9.0)), "nothing is known of their spread"


def test_the_best_has_its_ties_nearest_first_and_what_is_not_a_number_last() -> None:
    of = [figure("a", 3.0, 3.2), figure("b", 1.0, 1.2), figure("c", 1.1, 1.3), figure("d", math.nan, math.nan)]
    first, ties = best(of, "lower")
    assert (first.recipe, [tie.recipe for tie in ties]) == ("b", ["c"])
    assert best(of, "higher")[0].recipe == "a"


def test_a_bound_is_never_ranked_with_an_exact_figure_nor_one_protocol_with_another() -> None:
    of = [
        figure("made", 2.0, 2.0, items=10),
        figure("spline", 2.1, 2.1, items=10),
        figure("vae", 1.0, 1.0, kind="lower bound", items=10),
        figure("other", 0.5, 0.5, items=9),
        figure("seeded", 2.2, 2.2, items=10, **{"binarisation seed": 3}),
    ]
    assert [[f.recipe for f in group] for group in groups(of)] == [["made", "spline", "seeded"], ["vae"], ["other"]]


def test_advice_follows_from_the_figures_and_turns_with_them() -> None:
    def says(good: float, poor: float) -> str:
        of = [result("x", s, odd_items=good + 0.001 * s) for s in (0, 1, 2)]
        of += [result("y", s, odd_items=poor + 0.001 * s) for s in (0, 1, 2)]
        (one,) = advice(of, "table")
        assert one.want == "For anomaly scores"
        return one.says

    assert says(0.9, 0.7).startswith("take `x`, because")
    assert "next comes `y`, 0.7010 ± 0.0010 by `--score likelihood`" in says(0.9, 0.7)
    assert says(0.7, 0.9).startswith("take `y`, because")
    assert "they tie, within the spread" in says(0.9, 0.9005)


def test_advice_ranks_exact_figures_first_and_bounds_among_themselves() -> None:
    bound = ("lower bound", {"estimator": "ELBO"})
    of = [result(name, s, nats=value + 0.01 * s) for s in (0, 1) for name, value in (("a", 3.0), ("b", 9.0))]
    of += [result("v", s, nats=(1.0 + 0.01 * s, *bound)) for s in (0, 1)]
    (one,) = advice(of, "table")
    assert "Of those with an exact figure: take `a`" in one.says
    assert "not to be ranked with the former: `v` is the only one" in one.says
    assert "The bound of `v` is below what is exact of `a`" in one.says
    of[-1]["figures"]["test"]["nats"]["value"] = of[-2]["figures"]["test"]["nats"]["value"] = 50.0
    (one,) = advice(of, "table")
    assert "is below what is exact" not in one.says


def test_samples_of_rows_are_judged_by_neighbours_and_those_of_images_by_their_features() -> None:
    """In the units of rows a Gaussian has the Fréchet distance of a perfect model."""
    of = [result("gauss", s, frechet_distance=0.1, two_sample_accuracy=0.7 + 0.001 * s) for s in (0, 1)]
    of += [result("flow", s, frechet_distance=0.2, two_sample_accuracy=0.5 + 0.001 * s) for s in (0, 1)]
    assert "take `flow`" in advice(of, "table")[0].says
    assert "take `gauss`" in advice(of, "images")[0].says


def test_the_choice_is_made_on_the_validation_split_and_the_value_told_is_of_the_test_split() -> None:
    of = [result(name, s, odd_items=value) for s in (0, 1) for name, value in (("a", 0.9), ("b", 0.6))]
    for one in of:
        name = one["recipe"]
        told = {**one["figures"]["valid"]["odd_items"], "value": {"a": 0.51, "b": 0.99}[name]}
        one["figures"] = {**one["figures"], "test": {"odd_items": told}}
    (said,) = advice(of, "table")
    assert said.says.startswith("take `a`, because")
    assert "AUROC of 0.51" in said.says


def test_one_is_warned_of_copies_failures_and_single_seeds() -> None:
    of = [result("a", 0, copying=0.9), {"recipe": "b", "seed": 0, "error": "no."}]
    (said,) = advice(of, "table")
    assert said.want == "Beware"
    assert "Samples of `a` are nearer to training items" in said.says
    assert "`b` came to their end" in said.says
    assert "One seed" in said.says
    assert not advice([result("a", s, copying=0.5) for s in (0, 1)], "points")
    assert "One seed" in advice([{"recipe": "b", "seed": 0, "error": "no."}], "images")[0].says


def test_figures_come_back_from_what_was_saved_infinities_too() -> None:
    of = [result("a", 0, nats="inf", nats_iw=1.0), result("a", 1, nats=2.0, nats_iw=1.5), result("b", 0, nats=3.0)]
    found = figures(of, "test")
    assert found["nats"][0].values == (math.inf, 2.0)
    assert [(f.recipe, f.values) for f in tightest(found, "nats")] == [("a", (1.0, 1.5)), ("b", (3.0,))]


def test_all_that_is_asked_is_measured_and_knows_which_way_is_better() -> None:
    asked = {name for q in QUESTIONS for name in (*q.images, *q.rows) if name != "odd_items"}
    assert asked <= set(CHOOSING) <= set(MEASURED)
    assert {better(name) for name in (*MEASURED, "odd_items", "samples_per_second")} == {"lower", "higher"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_family_that_takes_such_data_takes_part_with_one_good_recipe(kind: Any) -> None:
    chosen = lineup(kind, None)
    families = {family(recipe) for recipe in recipes().values() if kind in recipe.kinds}
    assert sorted(map(family, chosen.values())) == sorted(families)
    assert set(GOOD[kind]) <= set(chosen), "a family has two good recipes"


def test_mixed_items_have_half_of_another_and_every_part_as_in_data() -> None:
    rows = torch.arange(60.0).view(12, 5)
    odd = mixed(rows, "table", 0)
    assert ((odd == rows).sum(1) == 3).all()
    assert all(set(odd[:, i].tolist()) <= set(rows[:, i].tolist()) for i in range(5))
    assert all(len({int(v) // 5 for v in row}) == 2 for row in odd.tolist()), "of two items each"
    images = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 4, 4)
    odd = mixed(images, "images", 0)
    assert all(x.unique().numel() == 2 and (x == i).sum() == 8 for i, x in enumerate(odd))
    torch.testing.assert_close(odd, mixed(images, "images", 0))
