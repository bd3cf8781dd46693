"""What the doctor looks for: a table of signals, each a reading of the log, its thresholds and its words.

What the figures are and where they come from is in `vitals` and `flaws`; docs/doctor.md has each signal with its
threshold, its source and what to do, and benchmarks/results/doctor.md how often the thresholds, tuned on other seeds,
were right.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from ..header import JUDGED_BY

Level = Literal["ok", "warn", "bad"]
LEVELS: tuple[Level, ...] = ("ok", "warn", "bad")
Records = Sequence[Mapping[str, Any]]
Figures = dict[str, Any]


class Look(NamedTuple):
    """One look of a signal at the log: where, how bad (0, 1, 2: an index of `LEVELS`), and the figures."""

    step: int
    level: int
    figures: Figures


@dataclass(frozen=True)
class Signal:
    """Something that can be wrong with a training.

    Arguments:
        looks: at the log, oldest first.
        trouble, fine: the sentence, by the figures of the newest look.
        action: one thing to do.
        patience: looks in a row that must agree.
        of_data: whether it is about the data, which going back in the training does not change.
    """

    looks: Callable[[Records], list[Look]]
    trouble: str
    fine: str
    action: str
    patience: int = 2
    of_data: bool = False


def milestones(
    needs: Sequence[str], grade: Callable[[Figures], int], after: float = 0.0
) -> Callable[[Records], list[Look]]:
    """Looks at the doctor's own records that have the figures `needs`, from a share `after` of the training on."""

    def looks(records: Records) -> list[Look]:
        found = []
        for record in records:
            told = record["split"] == "health" and all(name in record for name in needs)
            if told and record.get("progress", 1.0) >= after:
                figures = {name: record[name] for name in needs}
                found.append(Look(record["step"], grade(figures), figures))
        return found

    return looks


def above(value: float, warn: float, bad: float) -> int:
    """The level of a figure that should be low; one that is no number is bad."""
    return 0 if value <= warn else 1 if value <= bad else 2


def below(value: float, warn: float, bad: float) -> int:
    """The level of a figure that should be high."""
    return above(-value, -warn, -bad)


def _by_player(records: Records, name: str) -> dict[str, list[tuple[int, float, float]]]:
    """A figure of each player, as (step, figure, rate) by the player's name; of one alone it is "model"."""
    found: dict[str, list[tuple[int, float, float]]] = {}
    for record in records:
        if record["split"] == "train":
            for key, value in record.items():
                if key.startswith(name):
                    player = key[len(name) + 1 :] or "model"
                    found.setdefault(player, []).append((record["step"], value, record.get("lr", 1.0)))
    return found


def _worst(of_players: Mapping[str, list[Look]]) -> list[Look]:
    """The worst look of the players at each step."""
    worst: dict[int, Look] = {}
    for player, looks in of_players.items():
        for look in looks:
            if look.step not in worst or look.level > worst[look.step].level:
                worst[look.step] = look._replace(figures={"player": player, **look.figures})
    return [worst[step] for step in sorted(worst)]


def _updates(grade: Callable[[float], int]) -> Callable[[Records], list[Look]]:
    """Looks at how far a step goes, in lengths of the weights, while the schedule still lets it go."""

    def looks(records: Records) -> list[Look]:
        found = {}
        for player, values in _by_player(records, "update_ratio").items():
            most = max(rate for _, _, rate in values)
            at_work = [(step, ratio) for step, ratio, rate in values if rate > 0.02 * most]
            found[player] = [Look(step, grade(ratio), {"ratio": ratio}) for step, ratio in at_work]
        return _worst(found)

    return looks


def _gradients(grade: Callable[[float], int]) -> Callable[[Records], list[Look]]:
    """Looks at the length of gradients, in that of the first tenth of the log."""

    def looks(records: Records) -> list[Look]:
        found = {}
        for player, values in _by_player(records, "gradient_norm").items():
            usual = statistics.median(value for _, value, _ in values[:EARLY])
            times = [(step, norm, norm / usual if usual > 0 else math.nan) for step, norm, _ in values[EARLY:]]
            found[player] = [Look(s, grade(t), {"norm": norm, "usual": usual, "times": t}) for s, norm, t in times]
        return _worst(found)

    return looks


def _lost(records: Records, split: str, name: str, window: int) -> dict[int, tuple[float, float, float]]:
    """Of a figure that should fall, by step: it now, its best so far, and the share of what was gained that is lost.

    It is smoothed by the median over a window; where it was steady, nothing was gained that its noise could lose.
    """
    values = [(r["step"], float(r[name])) for r in records if r["split"] == split and name in r]
    if len(values) < 3 * window:
        return {}
    first = max(value for _, value in values[:window])
    noise = statistics.median(abs(b - a) for (_, a), (_, b) in itertools.pairwise(values))
    found, best = {}, math.inf
    for i in range(window - 1, len(values)):
        now = statistics.median(value for _, value in values[i - window + 1 : i + 1])
        best = min(best, now)
        gained = max(first - best, 0.1 * abs(first), 4 * noise, 1e-12)
        found[values[i][0]] = (now, best, (now - best) / gained)
    return found


def _diverges(records: Records) -> list[Look]:
    """Looks at the training loss of a model of one player, and at its bound: neither alone may rise by design.

    A VAE's loss rises while its rate is charged more and more, and its bound while the first nats are free.
    """
    both = [lost for name in ("loss", "bits_per_dim") if (lost := _lost(records, "train", name, WINDOW))]
    if not both:
        return []
    found = []
    for step, (now, best, share) in both[0].items():
        least = min([share, *(lost[step][2] for lost in both[1:] if step in lost)])
        found.append(Look(step, above(least, 0.5, 1.0), {"now": now, "best": best, "lost": least}))
    return found


def _learns_by_heart(records: Records) -> list[Look]:
    """Looks at the figure on held-out items: what it lost, and the same figure in training did not."""
    for name in JUDGED_BY:
        if held := _lost(records, "valid", name, 3):
            seen = _lost(records, "train", name, WINDOW)
            found = []
            for step, (now, best, share) in held.items():
                before = [lost for at, (_, _, lost) in seen.items() if at <= step][-1:]
                share -= before[0] if before else 0.0
                found.append(
                    Look(step, above(share, 0.2, 1.0), {"figure": name, "now": now, "best": best, "lost": share})
                )
            return found
    return []


def _ahead(records: Records) -> list[Look]:
    """Looks at the gap between logits, for objectives that have no lowest value to be near.

    A slope of 1 makes it at most the distance of samples and data, which grows as the root of their dimensions.
    """
    found = []
    dims = next((record["dims"] for record in records if "dims" in record), 1)
    for record in records:
        if record["split"] == "train" and {"real_logits", "fake_logits"} <= set(record):
            gap = abs(record["real_logits"] - record["fake_logits"]) / math.sqrt(dims)
            found.append(Look(record["step"], above(gap, *GAP), {"gap": gap}))
    return found


def _faults(name: str, bad_from: int) -> Callable[[Records], list[Look]]:
    return milestones([name], lambda f: 0 if f[name] == 0 else 1 if f[name] < bad_from else 2)


WINDOW = 5
"""Records of the log over which a loss is smoothed."""

EARLY = 10
"""Records of the log that say what a gradient's usual length is."""

GAP = (10.0, 50.0)
"""Between logits of data and samples, over the root of the dimensions; in healthy trainings it was below 3."""

SIGNALS: dict[str, Signal] = {
    "not finite": Signal(
        _faults("not_finite", 4),
        "a loss or a gradient was not a number {not_finite} times, and the training taken back.",
        "all losses and gradients were numbers.",
        "Lower --lr, and look for extreme values in the data with `lookalike inspect`.",
        patience=1,
    ),
    "rolled back": Signal(
        milestones(["rollbacks"], lambda f: 1 if f["rollbacks"] else 0),
        "the training was taken back to a healthy checkpoint {rollbacks} times.",
        "the training was never taken back.",
        "Lower --lr: it now trains with half the rate for each time.",
        patience=1,
    ),
    "not moving": Signal(
        _updates(lambda ratio: below(ratio, 1e-7, 1e-9)),
        "the weights of the {player} hardly move: a step changes them by {ratio:.1e} of their length.",
        "all players move: a step changes the {player} by {ratio:.1e} of its length.",
        "Give it a rate of its own, as --lr generator=1e-3,discriminator=1e-3, and check that its weights take part.",
        patience=3,
    ),
    "long steps": Signal(
        _updates(lambda ratio: above(ratio, 0.1, 0.3)),
        "a step changes the {player} by {ratio:.2g} of its length: it forgets what it has learnt.",
        "no step is too long: one changes the {player} by {ratio:.1e} of its length.",
        "Lower --lr by ten.",
        patience=3,
    ),
    "vanishing gradients": Signal(
        _gradients(lambda times: below(times, 1e-4, 1e-6)),
        "the gradient of the {player} is {norm:.1e}, {times:.1e} times what it was at first: it learns nothing more.",
        "gradients are {times:.2g} times as long as at first ({player}).",
        "Look for a network that gives the same whatever it is given; a GAN may take --objective nonsaturating.",
        patience=5,
    ),
    "exploding gradients": Signal(
        _gradients(lambda times: above(times, 300, 3000)),
        "the gradient of the {player} is {norm:.1e}, {times:.1e} times what it was at first.",
        "gradients are {times:.2g} times as long as at first ({player}).",
        "Lower --lr; of a GAN hold the slopes, with --penalty r1 or --constraint spectral.",
        patience=5,
    ),
    "diverges": Signal(
        _diverges,
        "the loss is {now:.4g} after {best:.4g}: {lost:.0%} of what was learnt is lost again.",
        "the loss is {now:.4g}, its best {best:.4g}.",
        "Lower --lr.",
        patience=3,
    ),
    "learns by heart": Signal(
        _learns_by_heart,
        "on held-out items {figure} is {now:.4g} after {best:.4g}: {lost:.0%} of what was gained is lost again.",
        "on held-out items {figure} is {now:.4g}, its best {best:.4g}.",
        "Train for fewer steps, or take a smaller network or more data; the best milestone is kept.",
        patience=3,
    ),
    "spread": Signal(
        milestones(["spread"], lambda f: max(below(f["spread"], 0.2, 0.05), above(f["spread"], 5.0, 20.0)), 0.4),
        "samples vary {spread:.2g} times as much as data.",
        "samples vary {spread:.2f} times as much as data.",
        "Below 1 the generator has collapsed, above 1 it has run away: raise --penalty-weight, or take --objective "
        "relativistic with --penalty r1+r2.",
    ),
    "rank": Signal(
        milestones(["rank"], lambda f: below(f["rank"], 0.25, 0.15), 0.4),
        "samples vary in {rank:.2g} times as many directions as data.",
        "samples vary in {rank:.2f} times as many directions as data.",
        "The generator has collapsed to a line or a point: raise --penalty-weight, or take a longer --latent.",
    ),
    "missing modes": Signal(
        milestones(["missing", "coverage"], lambda f: above(f["missing"], 0.1, 0.4), 0.5),
        "samples are lacking where {missing:.0%} of the data are (coverage {coverage:.2f}).",
        "samples are lacking where {missing:.0%} of the data are (coverage {coverage:.2f}).",
        "Modes are dropped: take --objective relativistic with --penalty r1+r2, a larger --batch-size or more steps.",
        patience=3,
    ),
    "support": Signal(
        milestones(["support"], lambda f: below(f["support"], 0.04, 0.02), 0.5),
        "samples are alike as often as if there were {support:.2g} times as many different ones as in data.",
        "samples are alike as often as if there were {support:.2f} times as many different ones as in data.",
        "The generator repeats itself: raise --penalty-weight, or take --objective relativistic with --penalty r1+r2.",
    ),
    "discriminator wins": Signal(
        milestones(["win"], lambda f: max(above(f["win"], 0.95, 0.995), below(f["win"], -1.0, -5.0)), 0.15),
        "the discriminator's loss on held-out items is {win:.0%} below its equilibrium.",
        "the discriminator's loss on held-out items is {win:.0%} below its equilibrium.",
        "Near 100 % it has won and teaches little: hold its slopes (--penalty r1+r2) or lower its rate; far below 0 "
        "its steps are too long.",
        patience=3,
    ),
    "critic runs away": Signal(
        _ahead,
        "the discriminator's logits of data and samples are {gap:.3g} apart, in roots of the dimensions.",
        "the discriminator's logits of data and samples are {gap:.3g} apart, in roots of the dimensions.",
        "Its slopes are not held: raise --penalty-weight, or add --constraint spectral.",
        patience=3,
    ),
    "discriminator memorises": Signal(
        milestones(
            ["memorises", "memorises_error"],
            lambda f: above(f["memorises"] - 2 * f["memorises_error"], 0.6, 0.75),
            0.15,
        ),
        "the discriminator tells training items from held-out ones {memorises:.0%} of the time.",
        "the discriminator tells training items from held-out ones {memorises:.0%} of the time; 50 % is chance.",
        "It learns the data by heart: more data, a smaller --width, or augmentation.",
    ),
    "posterior collapse": Signal(
        milestones(["active", "latent"], lambda f: below(f["active"], 0.1, 0.5 / max(f["latent"], 1)), 0.25),
        "{active:.0%} of the {latent:.0f} numbers of the code carry information.",
        "{active:.0%} of the {latent:.0f} numbers of the code carry information.",
        "Train with --kl-warmup or --free-bits, or a smaller --latent or --beta.",
    ),
    "code ignored": Signal(
        milestones(["decoded"], lambda f: below(f["decoded"], 0.05, 0.02), 0.4),
        "reconstructions vary {decoded:.2g} times as much as what they are of: the decoder ignores the code.",
        "reconstructions vary {decoded:.2f} times as much as what they are of.",
        "Lower --lr, of a VAE train with --kl-warmup or --free-bits, and check that the code reaches the decoder.",
    ),
    "dead units": Signal(
        milestones(["dead"], lambda f: above(f["dead"], 0.5, 0.9), 0.1),
        "{dead:.0%} of the units of a layer are 0 whatever comes in.",
        "at most {dead:.0%} of the units of a layer are 0 whatever comes in.",
        "Lower --lr; ReLU units that died stay dead, so train anew.",
    ),
    "copies": Signal(
        milestones(
            ["copied", "copied_by_chance"],
            lambda f: above(f["copied"] - f["copied_by_chance"], 0.1, 0.3),
        ),
        "{copied:.0%} of the samples are copies of training items, where {copied_by_chance:.0%} of held-out items "
        "would be.",
        "{copied:.0%} of the samples are as near to one training item as copies, as {copied_by_chance:.0%} of held-out "
        "items are.",
        "It knows the training items by heart: more data, fewer steps or a smaller network.",
    ),
    "flat border": Signal(
        milestones(["border"], lambda f: above(f["border"], 0.2, 0.7), 0.25),
        "{border:.0%} of the edges that vary in data are constant in samples.",
        "edges vary in samples where they do in data.",
        "The generator does not reach the border: check its padding and cropping.",
    ),
    "duplicates": Signal(
        milestones(
            ["duplicates", "one_value"],
            lambda f: max(above(f["duplicates"], 0.05, 0.5), above(f["one_value"], 0.2, 0.5)),
        ),
        "{duplicates:.1%} of the training items are there already; the most frequent one is {one_value:.1%} of them.",
        "{duplicates:.1%} of the training items are there already.",
        "Remove the repeats, or count them with intent.",
        patience=1,
        of_data=True,
    ),
    "leak": Signal(
        milestones(["leaked", "expected"], lambda f: above(f["leaked"] - f["expected"], 0.01, 0.1)),
        "{leaked:.1%} of the held-out items are training items too.",
        "{leaked:.1%} of the held-out items are training items too.",
        "Figures on them say too much: remove the repeats before the data are split.",
        patience=1,
        of_data=True,
    ),
    "stuck pixels": Signal(
        milestones(["stuck"], lambda f: above(f["stuck"], 0, 8)),
        "{stuck:.0f} pixels never change though all around them do.",
        "no pixel is stuck among others that vary.",
        "Look at them with `lookalike inspect -o look.png`: a dead sensor, a mark or a mask.",
        patience=1,
        of_data=True,
    ),
}
"""Every signal by name, in the order they are told."""
