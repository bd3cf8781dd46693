"""What figures say, in plain words: for each thing one may want of a model, which to take, and why.

Nothing is said that no figure says. Which recipe is best is seen on the validation split, and what it reaches is told
of the test split; figures that were come by unlike are never ranked together, and what is within the spread is a tie.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..metrics.table import METRICS
from ..spec import Kind
from ._ranking import Figure, best, differ, figures, groups

OWN: Mapping[str, Literal["higher", "lower"]] = {
    "odd_items": "higher",
    "samples_per_second": "higher",
    "training_seconds": "lower",
    "parameters": "lower",
}
"""Which way is better, of figures that a comparison adds to those of `evaluate`."""


def better(name: str) -> Literal["higher", "lower"]:
    """Which way a figure is better."""
    return OWN[name] if name in OWN else METRICS[name].better


@dataclass(frozen=True)
class Question:
    """Something one may want of a model.

    Arguments:
        want: it, as a sentence begins.
        by: figures that answer it, for images and for the rest; of each recipe the first that it has.
        then: the figure that says whom of several that tie to take.
    """

    want: str
    images: tuple[str, ...]
    rows: tuple[str, ...]
    then: str = ""


# In the units of rows the Fréchet distance sees means and covariances, which a single Gaussian has right.
SAMPLES_OF_ROWS = ("two_sample_accuracy", "frechet_distance")
LIKELIHOOD = ("bits_per_dim_iw", "bits_per_dim")
QUESTIONS = (
    Question(
        "For new items like yours",
        ("frechet_distance",),
        ("two_sample_accuracy", "frechet_distance"),
        "samples_per_second",
    ),
    Question("For anomaly scores", ("odd_items",), ("odd_items",)),
    Question("For log p(x), as for compression", LIKELIHOOD, ("nats_iw", "nats")),
    Question("For codes that keep what items are", ("psnr",), ("mse",)),
)
CHOOSING = ("frechet_distance", "two_sample_accuracy", *LIKELIHOOD, "nats_iw", "nats", "psnr", "mse")
"""What is measured on the validation split: all that anything is chosen by."""

BECAUSE: Mapping[str, str] = {
    "frechet_distance": "its samples are nearest to held-out items in their features, at a Fréchet distance of {}",
    "two_sample_accuracy": "its samples are hardest to tell from held-out items: neighbours give them away in {} of "
    "cases, where 0.5 is by chance",
    "odd_items": "it tells best held-out items from mixed ones (half of each is another's), with an AUROC of {}",
    "psnr": "its reconstructions of held-out items are nearest to them, {}",
    "mse": "its reconstructions of held-out items are nearest to them, with a squared error of {}",
    **dict.fromkeys((*LIKELIHOOD, "nats_iw", "nats"), "held-out items cost it least, {}"),
    "samples_per_second": "draws fastest, {}",
}
"""What a figure says of the best."""


@dataclass(frozen=True)
class Advice:
    """A thing wanted, and the sentences on it."""

    want: str
    says: str


def advice(results: Sequence[Mapping[str, Any]], kind: Kind) -> list[Advice]:
    """What to take for what, and what to beware of, from the results of jobs on that kind of data."""
    chosen, told = figures(results, "valid"), figures(results, "test")
    facts = {result["recipe"]: result for result in results if "figures" in result}
    found = []
    for question in QUESTIONS:
        says = " ".join(_answers(question, question.images if kind == "images" else question.rows, chosen, told, facts))
        if says:
            found.append(Advice(question.want, says))
    warned = " ".join([*_copies(told), *_misses(told), *_told_apart(chosen, told), *_spread(results)])
    return [*found, *([Advice("Beware", warned)] if warned else [])]


def _answers(
    question: Question,
    by: Sequence[str],
    chosen: Mapping[str, list[Figure]],
    told: Mapping[str, list[Figure]],
    facts: Mapping[str, Mapping[str, Any]],
) -> Iterator[str]:
    """A sentence on each group of figures that may be ranked, those that are exact first."""
    candidates = _first_of_each(by, chosen)
    of_groups = sorted(groups(list(candidates)), key=lambda group: group[0].kind != "exact")
    firsts: list[Figure] = []
    for group in of_groups:
        name = candidates[group[0]]
        first, ties = best(group, better(name))
        if not math.isfinite(first.mean):
            continue
        whom = [first.recipe, *(tie.recipe for tie in ties)]
        of = _of_group(group, of_groups)
        because = BECAUSE[name].format(_value(told, name, first.recipe, facts))
        if len(group) == 1:
            yield f"{of}{_name(first.recipe)} is the only one measured so: {_value(told, name, first.recipe, facts)}."
        elif ties:
            yield f"{of}take {_list(whom, 'or')}: they tie, within the spread. As for {_name(first.recipe)}, {because}."
            yield from _between(question, whom, told)
        else:
            yield f"{of}take {_name(first.recipe)}, because {because}{_next(group, first, name, told, facts)}."
        firsts.append(first)
    for other in firsts[1:]:
        if firsts[0].kind == "exact" and other.mean < firsts[0].mean and differ(other, firsts[0]):
            yield f"The bound of {_name(other.recipe)} is below what is exact of {_name(firsts[0].recipe)}: "
            yield "true values lie below their bounds, so it is the better of the two all the same."


def _first_of_each(by: Sequence[str], chosen: Mapping[str, list[Figure]]) -> dict[Figure, str]:
    """Each recipe's figure that answers, with its name: the first there is."""
    found: dict[str, tuple[Figure, str]] = {}
    for name in by:
        for figure in chosen.get(name, ()):
            if figure.recipe not in found:
                found[figure.recipe] = figure, name
    return dict(found.values())


def _of_group(group: Sequence[Figure], of_groups: Sequence[Sequence[Figure]]) -> str:
    """What tells a group from the others, where there are others."""
    if len(of_groups) == 1:
        return ""
    first = group[0]
    if first.kind == "exact":
        return "Of those with an exact figure: "
    how = [str(first.protocol[key]) for key in ("estimator",) if key in first.protocol]
    how += [f"{first.protocol[key]} {key}" for key in ("dequantisation",) if key in first.protocol]
    how += ["given the label"] if "given" in first.protocol else []
    kind = "a bound" if first.kind == "lower bound" else "figures come by otherwise"
    told = f" ({', '.join(how)})" if how else ""
    return f"Of those with {kind}{told}, not to be ranked with the former: "


def _next(
    group: Sequence[Figure],
    first: Figure,
    name: str,
    told: Mapping[str, list[Figure]],
    facts: Mapping[str, Mapping[str, Any]],
) -> str:
    others = [figure for figure in group if figure is not first]
    second, ties = best(others, better(name))
    names = _list([second.recipe, *(tie.recipe for tie in ties)], "and")
    return f"; next {'come' if ties else 'comes'} {names}, {_value(told, name, second.recipe, facts)}"


def _between(question: Question, whom: Sequence[str], told: Mapping[str, list[Figure]]) -> Iterator[str]:
    """Whom of those that tie to take, by another figure."""
    tied = [figure for figure in told.get(question.then, ()) if figure.recipe in whom]
    if len(tied) > 1:
        first, ties = best(tied, better(question.then))
        if not ties:
            yield f"Of these {_name(first.recipe)} {BECAUSE[question.then].format(_rounded(first))}."


def _copies(told: Mapping[str, list[Figure]]) -> Iterator[str]:
    """Recipes whose samples are nearer to training items than data are, beyond the spread."""
    for figure in told.get("copying", ()):
        if figure.mean - 0.5 > max(0.05, 2 * figure.doubt):
            yield (
                f"Samples of {_name(figure.recipe)} are nearer to training items than other items are (copying "
                f"{_rounded(figure)}, 0.5 is right): it may give back what it was trained on."
            )


def _misses(told: Mapping[str, list[Figure]]) -> Iterator[str]:
    """Recipes that leave out modes or classes."""
    for name, what in (("modes_found", "modes"), ("classes_found", "classes")):
        for figure in told.get(name, ()):
            there = figure.protocol.get(what, figure.protocol.get("of"))
            if isinstance(there, int) and min(figure.values) < there:
                least = f"{min(figure.values):.0f}"
                yield f"{_name(figure.recipe)} drew {least} of {there} {what} in one training at least."


def _told_apart(chosen: Mapping[str, list[Figure]], told: Mapping[str, list[Figure]]) -> Iterator[str]:
    """Whether even the best samples are told from data."""
    for group in groups(chosen.get("two_sample_accuracy", ()))[:1]:
        first, _ = best(group, "lower")
        of_test = _of(told, "two_sample_accuracy", first.recipe)
        if of_test is not None and of_test.mean - 2 * of_test.doubt > 0.55:
            yield (
                f"Even the samples of {_name(first.recipe)} are told from data by their neighbours in "
                f"{_rounded(of_test)} of cases (0.5 would be by chance): longer trainings may be worth it."
            )


def _spread(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Failures, and what cannot be said of one seed."""
    seeds = {result["seed"] for result in results}
    failed = sorted({result["recipe"] for result in results if "error" in result})
    if failed:
        yield f"Not all trainings of {_list(failed, 'and')} came to their end: see below."
    if len(seeds) == 1:
        yield "One seed was trained of each, so how another training would come out is not known: see --seeds."


def _of(told: Mapping[str, list[Figure]], name: str, recipe: str) -> Figure | None:
    return next((figure for figure in told.get(name, ()) if figure.recipe == recipe), None)


def _value(told: Mapping[str, list[Figure]], name: str, recipe: str, facts: Mapping[str, Mapping[str, Any]]) -> str:
    """A figure of the test split in words."""
    figure = _of(told, name, recipe)
    if figure is None:
        return "not measured on the test split"
    words = ("at most " if figure.kind == "lower bound" else "") + _rounded(figure)
    if name in ("psnr", "mse"):
        code = facts[recipe]["latent"]
        words += f", with a code of {code:,} number{'s' * (code > 1)}"
    if name == "odd_items":
        words += f" by `--score {facts[recipe]['score']}`"
    floor = _of(told, "frechet_floor", recipe) if name == "frechet_distance" else None
    return words + (f" (training items themselves: {_rounded(floor)})" if floor else "")


def _rounded(figure: Figure) -> str:
    unit = "" if figure.unit in ("", "AUROC") else f" {figure.unit}"
    return f"{figure.shown.rounded}{unit}"


def _name(recipe: str) -> str:
    return f"`{recipe}`"


def _list(names: Sequence[str], word: str) -> str:
    told = [_name(name) for name in names]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} {word} {told[-1]}"
