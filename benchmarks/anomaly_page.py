"""The figures of `benchmarks.anomaly` as a page, beside the published ones, misses told."""

from __future__ import annotations

import statistics
from typing import Any

Entry = dict[str, Any]
Published = dict[str, dict[str, dict[str, float]]]

BARS = {
    "default": "the best published method",
    "autoencoder": "the published VAE and 3 points",
    "gan": "the published GANomaly and 4 points",
}
MODES = {"semi": "Learnt from half the normal rows", "unsup": "Learnt from all rows"}

HEAD = """# Odd items

*Written by `python -m benchmarks.anomaly`, which says what is measured; do not edit.* AUROC in per cent. `default` is
what `lookalike detect` does with a table; `autoencoder` is the scores of that model alone (`surface`, `surface-crowd`,
`mahalanobis`); `gan` is `r3` with 250 steps, its codes searched for (`surface`, `surface-crowd`, `reconstruction`). One
set of numbers for all tables. Published: tables 1 and 2 of arXiv:2305.18593; the best method is that of the best mean.
"""


def key(entry: Entry) -> str:
    """What an entry is of: a new one of the same takes its place. A note, `words`, is written by hand."""
    return "/".join(str(entry.get(of, "")) for of in ("step", "mode", "data", "class", "table", "way", "known", "seed"))


def page(found: list[Entry], published: Published) -> str:
    """All figures there are."""
    parts = [HEAD]
    parts += [_tables(of, published[mode], mode) for mode in MODES if (of := _of(found, "tables", mode=mode))]
    if known := _of(found, "known"):
        parts.append(_known(known))
    if nsl := _of(found, "nsl-kdd"):
        parts.append(_nsl(nsl))
    for name, what in (("mnist", "all digits but one are normal"), ("fashion-mnist", "one kind is normal")):
        if pictures := _of(found, "pictures", data=name):
            parts.append(_pictures(pictures, f"{name}: {what}"))
    parts += [f"\n{entry['words']}" for entry in _of(found, "note")]
    machines = sorted({f"{entry['machine']}, {entry['date']}" for entry in found})
    return "\n".join([*parts, "", *machines, ""])


def _of(found: list[Entry], step: str, **wanted: Any) -> list[Entry]:
    return [e for e in found if e["step"] == step and all(e[name] == value for name, value in wanted.items())]


def _row(*cells: Any) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _mean(values: list[float]) -> str:
    """The mean, and over seeds the deviation; nothing of nothing."""
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"


def _tables(found: list[Entry], published: dict[str, dict[str, float]], mode: str) -> str:
    ways = [way for way in BARS if any(e["way"] == way for e in found)]
    names = sorted({e["table"] for e in found}, key=str.lower)
    theirs = {name: published[name.lower()] for name in names}
    best = max(next(iter(theirs.values())), key=lambda m: statistics.mean(of[m] for of in theirs.values()))
    others = [best, "VAE", "GANomaly"]
    bars = {"default": (best, 0), "autoencoder": ("VAE", 3), "gan": ("GANomaly", 4)}
    rows = [
        f"\n## {MODES[mode]}\n",
        _row("table", "rows learnt from", *ways, *others),
        "|---" * (2 + len(ways) + 3) + "|",
    ]
    for name in names:
        of = [e for e in found if e["table"] == name]
        mine = [_mean([e["auroc"] for e in of if e["way"] == way]) for way in ways]
        rows.append(_row(name, f"{of[0]['rows']:,}", *mine, *(theirs[name][m] for m in others)))
    means, said = [], []
    for way in ways:
        by_seed = [[e for e in found if (e["way"], e["seed"]) == (way, seed)] for seed in {e["seed"] for e in found}]
        whole = [of for of in by_seed if len(of) == len(names)]
        each = [statistics.mean(e["auroc"] for e in of) for of in whole]
        means.append(_mean(each))
        if not whole:
            continue
        method, more = bars[way]
        bar = statistics.mean(of[method] for of in theirs.values()) + more
        met = "met" if statistics.mean(each) >= bar else "missed"
        spent = statistics.mean(sum(e["processor"] for e in of) for of in whole)
        against = f"{bar:.1f} ({BARS[way]}), {met}"
        said.append(f"- {way}: {means[-1]} against {against}; {len(whole)} seeds, {spent:.0f} s of a core each")
    their_means = [f"{statistics.mean(of[m] for of in theirs.values()):.1f}" for m in others]
    rows.append(_row("**mean**", "", *means, *their_means))
    most = sorted({f"{e['most']:,}" for e in found})
    return "\n".join([*rows, "", *said, f"- tables cut to at most {', '.join(most)} rows"])


def _known(found: list[Entry]) -> str:
    rows = [
        f"\n## With {found[0]['known']} odd rows known\n",
        "The default, learnt from half the normal rows; the rows that are known are not asked of.\n",
        _row("table", "without", "with", "gain"),
        "|---|---|---|---|",
    ]
    for name in sorted({e["table"] for e in found}, key=str.lower):
        of = [e for e in found if e["table"] == name]
        gain = _mean([e["with"] - e["without"] for e in of])
        rows.append(_row(name, _mean([e["without"] for e in of]), _mean([e["with"] for e in of]), gain))
    before, after = (statistics.mean(e[which] for e in found) for which in ("without", "with"))
    return "\n".join([*rows, _row("**mean**", f"{before:.1f}", f"{after:.1f}", f"{after - before:.1f}")])


def _nsl(found: list[Entry]) -> str:
    scores = list(found[0]["each"])
    rows = [
        "\n## NSL-KDD\n",
        "Learnt from the normal connections of the 20 % file by `lookalike detect`, asked of the test file by "
        "`lookalike anomaly`; bar 95.\n",
        _row(
            "seed",
            "rows asked of",
            "default",
            "attacks of kinds not in the training file",
            *scores,
            "flagged: normal, attacks",
        ),
        "|---" * (5 + len(scores)) + "|",
    ]
    for e in found:
        flagged = f"{e['flagged of normal']:.1%}, {e['flagged of attacks']:.1%}"
        each = [f"{value:.1f}" for value in e["each"].values()]
        rows.append(_row(e["seed"], f"{e['rows']:,}", f"{e['auroc']:.1f}", f"{e['unseen kinds']:.1f}", *each, flagged))
    return "\n".join(rows)


def _pictures(found: list[Entry], title: str) -> str:
    scores = ["default", *(name for name in found[0]["auroc"] if name != "default")]
    rows = [
        f"\n## {title}\n",
        f"`conv-ae`, {found[0]['steps']:,} steps on at most {max(e['rows'] for e in found):,} pictures, asked of "
        f"{found[0]['asked']:,}.\n",
        _row("class", "seeds", *scores, "processor, s"),
        "|---" * (3 + len(scores)) + "|",
    ]
    for label in sorted({e["class"] for e in found}):
        of = [e for e in found if e["class"] == label]
        each = [_mean([e["auroc"][score] for e in of]) for score in scores]
        rows.append(_row(label, len(of), *each, f"{statistics.mean(e['processor'] for e in of):.0f}"))
    means = [f"{statistics.mean(e['auroc'][score] for e in found):.1f}" for score in scores]
    return "\n".join([*rows, _row("**mean**", "", *means, "")])
