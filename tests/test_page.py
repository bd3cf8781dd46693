from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from lookalike.page import reproduce, write_page
from lookalike.recipe import find
from lookalike.report import Metric, Report
from lookalike.run import Run
from lookalike.spec import Spec

EVIL = "<script>alert('x')</script>&\"quoted\""


class Reader(HTMLParser):
    """Tags that are opened and closed, attributes, and all text."""

    VOID = ("meta", "img")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        self.text += data


def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text())
    assert reader.open == []
    return reader


@pytest.fixture
def run(tmp_path: Path) -> Run:
    spec = Spec("images", (1, 8, 8), 17)
    header = {
        "recipe": find("mlp-vae").resolved("images", {"latent": 7, "lr": 0.002, "steps": 50}).to_json(),
        "reference": "",
        "spec": spec.to_json(),
        "data": {
            "name": f"my {EVIL}",
            "line": f"my {EVIL}: images 8x8",
            "options": {"binarize": "dynamic", "size": (8, 8)},
            "fingerprint": "f" * 32,
            "notes": [f"resized {EVIL}"],
        },
        "seed": 3,
        "command": f"lookalike train {EVIL}",
        "environment": {"lookalike": "0", "python": "3.11", "device": "cpu"},
    }
    made = Run.create(tmp_path / "run", header)
    for step in range(1, 40):
        made.log({"step": step, "seconds": step * 2.0, "split": "train", "loss": 1 / step, "items_per_second": 10.0})
    made.log({"step": 39, "seconds": 78.0, "split": "valid", "bits_per_dim": 0.4321})
    (made.path / "samples").mkdir()
    for step in range(10, 40, 3):
        Image.new("RGB", (90, 60), (step, 0, 0)).save(made.path / "samples" / f"{step:08d}.png")
    return made


def test_the_page_says_all_and_asks_for_nothing_outside_itself(run):
    protocol = {"data": "abc", "split": "test"}
    report = Report(
        title="",
        metrics={
            "bits_per_dim": Metric(0.4, "lower bound", "bits/dim", {**protocol, "estimator": "ELBO"}, 0.01),
            "mse": Metric(0.02, "exact", "", {**protocol, "items": 12}),
        },
        skipped={"kl": f"not known {EVIL}"},
    )
    picture = Image.new("RGB", (40, 40), "red")
    reader = read(write_page(run, samples=picture, reconstructions=picture, report=report))
    assert "script" not in reader.tags
    assert "link" not in reader.tags
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in reader.links)
    assert not re.search(r"@import|url\((?!#)", (run.path / "report.html").read_text())
    for words in ("0.4321", "0.400 ± 0.010", "lower bound", "bits/dim", "ELBO", "items 12", "latent", "Kingma"):
        assert words in reader.text, words
    assert reader.text.count(EVIL) >= 4, "said as it is, and escaped"
    assert reader.text.count("split test") == 1, "what all protocols share is said once"
    figures = [int(n) for n in re.findall(r"Figure (\d+)", reader.text)]
    assert figures == [1, 2, 3, 4]
    assert sum("step" in text for text in re.findall(r"step \d+", reader.text)) == 8, "pictures over time, at most 8"


def test_a_run_that_has_made_nothing_yet_has_a_page_that_says_how_to_go_on(run):
    (run.path / "log.jsonl").unlink()
    for picture in (run.path / "samples").iterdir():
        picture.unlink()
    reader = read(write_page(run))
    assert "img" not in reader.tags
    assert "lookalike evaluate" in reader.text


def test_pictures_that_lie_in_the_run_are_taken_where_none_is_given(run):
    (run.path / "pictures").mkdir()
    Image.new("RGB", (30, 30)).save(run.path / "pictures" / "samples.png")
    page = write_page(run).read_text()
    assert "What it makes" in page
    assert "What it keeps" not in page


def test_the_command_made_again_trains_the_same(run):
    from lookalike.options import options_of, parse
    from lookalike.recipe import Training

    words = reproduce(run)
    assert words.startswith("lookalike train mlp-vae ")
    assert "--seed 3" in words
    assert "--size 8,8" in words
    assert "--binarize dynamic" in words
    known = {**options_of(run.recipe.build), **options_of(Training)}
    given = dict(re.findall(r"--([\w-]+) (\S+)", words))
    options = {n.replace("-", "_"): v for n, v in given.items() if n.replace("-", "_") in known}
    again = find("mlp-vae").resolved("images", {n: parse(known[n], v, "") for n, v in options.items()})
    assert again.to_json() == run.recipe.to_json()
    assert set(options) == {"latent", "lr", "steps"}, "only what differs from the recipe is spelt out"
