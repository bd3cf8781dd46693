"""The comparison as a user meets it: its files and page, failures, going on, and what is refused."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from lookalike.data import open_data
from lookalike.errors import UserError
from lookalike.tasks._comparison import Comparison, table_csv, tidy_csv
from lookalike.tasks._comparison_page import write_comparison
from lookalike.tasks._crew import Crew, _without_result, fitting
from lookalike.tasks._job import Job, main, work
from lookalike.tasks._lineup import lineup
from lookalike.tasks.compare import _kept, compare
from lookalike.training.progress import Line

MEASURING = {"samples": 20, "importance_samples": 2, "limit": 20, "features": "auto"}
EVIL = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """A file of one's own: numbers, a gap, categories, no labels, and a name that HTML would trip over."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=200)
    rows = {"age <b>": x.round(2), "pay": 3 * x + draw.normal(size=200), "town": draw.choice(["Bern", EVIL], 200)}
    frame = pd.DataFrame(rows)
    frame.loc[::9, "pay"] = np.nan
    path = tmp_path_factory.mktemp("mine") / "mine.csv"
    frame.to_csv(path, index=False)
    return path


def job(folder: Path, recipe: str, data: Any, seed: int = 0, **how: Any) -> Job:
    budget = {"steps": 2}
    return Job(f"{recipe}-{seed}", str(folder), recipe, seed, str(data), how, budget, "processor", "cpu", MEASURING)


def compared(folder: Path, data: Any, recipes: tuple[str, ...], seeds: int = 2, **how: Any) -> Comparison:
    """A comparison whose jobs were done one after another in this process."""
    opened = open_data(str(data), **how)
    of = lineup(opened.spec.kind, recipes)
    results = []
    for seed in range(seeds):
        for name in of:
            one = job(folder, name, data, seed, **how)
            one.file("job").parent.mkdir(parents=True, exist_ok=True)
            one.file("job").write_text(json.dumps(dataclasses.asdict(one)))
            try:
                result = work(one)
            except UserError as error:
                result = {"recipe": name, "seed": seed, "error": str(error)}
            results.append(json.loads(json.dumps(result)))
    return Comparison(opened, folder, of, results, {"steps": 2}, "processor", seeds, f"lookalike compare {data}")


class Links(HTMLParser):
    """What a page would fetch, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: Path) -> Links:
    found = Links()
    found.feed(page.read_text())
    return found


@pytest.fixture(scope="module")
def mine(table, tmp_path_factory) -> Comparison:
    """ppca and an autoencoder on the file, and a model that asks for labels, which it lacks."""
    return compared(tmp_path_factory.mktemp("mine") / "compared", table, ("ppca", "deep-ae", "cvae"))


def test_the_page_is_one_file_that_asks_for_nothing_outside_itself(mine):
    page = read(write_comparison(mine))
    assert page.links
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in page.links)
    assert "url(http" not in write_comparison(mine).read_text()
    assert "script" not in page.tags, "what is in the data is escaped"
    for words in ("Which to take", "odd items", "What they can do", "As they learnt", "ppca, seed"):
        assert words in page.text or words == "ppca, seed"


def test_a_recipe_that_fails_is_a_row_with_its_sentence_and_stops_no_other(mine):
    page = read(write_comparison(mine))
    assert "What failed" in page.text
    assert "cvae, seed 0" in page.text
    assert "labels" in page.text
    rows = {row["recipe"]: row for row in csv.DictReader(io.StringIO(table_csv(mine).decode()))}
    assert (rows["cvae"]["seeds"], rows["cvae"]["failed"]) == ("0", "2")
    assert "labels" in rows["cvae"]["why"]
    assert (rows["ppca"]["seeds"], rows["ppca"]["failed"], rows["ppca"]["nats_kind"]) == ("2", "0", "exact")


def test_no_score_is_made_up_for_what_a_model_cannot_do(mine):
    rows = list(csv.DictReader(io.StringIO(tidy_csv(mine).decode())))
    of = {name: {row["figure"] for row in rows if row["recipe"] == name} for name in ("ppca", "deep-ae")}
    assert {"nats", "mse", "odd_items", "samples_per_second", "coverage"} <= of["ppca"]
    assert not of["deep-ae"] & {"nats", "coverage", "frechet_distance", "samples_per_second"}
    assert {row["split"] for row in rows} == {"valid", "test"}
    assert all(json.loads(row["protocol"])["split"] == row["split"] for row in rows if row["figure"] == "nats")


def test_it_is_measured_as_evaluate_measures_it(mine):
    from lookalike.tasks.evaluate import evaluate

    again = evaluate(mine.run("ppca", 0), metrics=("nats",), limit=20).metrics
    said = mine.of("ppca")[0]["figures"]["test"]["nats"]
    assert again is not None
    assert said["value"] == pytest.approx(again["nats"].value, rel=1e-6)
    assert said["protocol"] == again["nats"].protocol


def test_images_with_labels_points_and_one_seed_have_a_page_too(tmp_path):
    draw = np.random.default_rng(0)
    images = (draw.random((60, 8, 8)) > 0.6).astype(np.uint8)
    np.savez(tmp_path / "images.npz", x=images, y=np.arange(60) % 2)
    found = compared(tmp_path / "images", tmp_path / "images.npz", ("mlp-vae", "cgan"), seeds=1)
    page = read(write_comparison(found))
    assert not found.failures()
    assert "What they keep" in page.text
    assert "One seed was trained" in page.text
    np.save(tmp_path / "points.npy", draw.normal(size=(80, 2)))
    assert "What they make" in read(write_comparison(compared(tmp_path / "p", tmp_path / "points.npy", ("ppca",)))).text


def test_an_array_and_a_frame_are_the_same_data_to_every_process(table, tmp_path):
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(80, 3)), np.arange(80) % 2
    for given in (x, (x, y), pd.read_csv(table)):
        assert open_data(_kept(tmp_path, given)).fingerprint == open_data(given).fingerprint
    assert _kept(tmp_path, str(table)) == str(table)


def test_a_process_that_ends_without_a_result_has_its_sentence(tmp_path):
    one = job(tmp_path, "vae", "moons")
    one.file("log").parent.mkdir(parents=True)
    one.file("log").write_text("training\nTypeError: no such thing\n\n")
    assert "code 1 (TypeError: no such thing)" in _without_result(one, 1)["error"]
    assert "SIGKILL; most likely there was too little memory" in _without_result(one, -signal.SIGKILL)["error"]


def test_what_is_done_is_not_done_again(tmp_path):
    """Nor is a process started for it."""
    one = job(tmp_path, "vae", "moons")
    one.file("json").parent.mkdir(parents=True)
    one.file("json").write_text(json.dumps({"recipe": "vae", "seed": 0, "figures": {}}))
    assert Crew([one], 1, Line("", shown=False)).work() == {"vae-0": {"recipe": "vae", "seed": 0, "figures": {}}}
    assert fitting(1) == 1


def test_the_job_writes_a_users_mistake_as_its_result(tmp_path, monkeypatch):
    one = job(tmp_path, "pixelcnn", "moons")
    one.file("job").parent.mkdir(parents=True)
    one.file("job").write_text(json.dumps(dataclasses.asdict(one)))
    monkeypatch.setattr("threading.Thread.start", lambda _: None)
    main(str(one.file("job")))
    assert "takes images, but this data is points" in json.loads(one.file("json").read_text())["error"]


def test_bad_input_is_refused_in_a_sentence_before_anything_is_written(table, tmp_path):
    out = tmp_path / "new"
    with pytest.raises(UserError, match=r"no recipe named 'vea'\. Did you mean 'vae'"):
        compare(table, recipes=("vea",), out=out)
    with pytest.raises(UserError, match="pixelcnn takes images, but this data is table"):
        compare(table, recipes=("pixelcnn",), out=out)
    with pytest.raises(UserError, match="names vae twice"):
        compare(table, recipes=("vae", "vae"), out=out)
    with pytest.raises(UserError, match="there is no file or folder"):
        compare("no-such.csv", out=out)
    with pytest.raises(UserError, match="choose one"):
        compare(table, resume=True, overwrite=True, out=out)
    with pytest.raises(UserError, match="no device is named 'abacus'"):
        compare(table, device="abacus", out=out)
    with pytest.raises(UserError, match=r"no feature space|no file"):
        compare(table, features="no-such-space", out=out)
    with pytest.raises(UserError, match="three fractions above 0"):
        compare(table, split=(0.9, 0.1, 0.0), out=out)
    assert not out.exists()


def test_a_folder_that_is_there_is_neither_mixed_up_nor_lost(table, tmp_path):
    out = tmp_path / "there"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    for how in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(UserError, match=r"exists|not the folder of a comparison|no comparison"):
            compare(table, out=out, **how)
    assert (out / "mine.txt").read_text() == "mine"
    with pytest.raises(UserError, match="is a file"):
        compare(table, out=out / "mine.txt")
    with FileLock(tmp_path / "held" / "lock"), pytest.raises(UserError, match="another process compares into"):
        compare(table, out=tmp_path / "held")
    header = {"format": 1, "data": "other"}
    (out / "compare.json").write_text(json.dumps(header))
    with pytest.raises(UserError, match="cannot be resumed with other settings: data was other"):
        compare(table, out=out, resume=True)


def command(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [sys.executable, "-m", "lookalike", "compare", *arguments], text=True, env=environment, **pipes
    )


@pytest.mark.slow
def test_killed_and_taken_up_again_it_comes_to_its_end(table, tmp_path):
    """A kill takes the trainings with it, which save; what was done before is not done again."""
    out = tmp_path / "out"
    how = [
        str(table),
        "--recipes",
        "cvae,ppca",
        "--seeds",
        "1",
        "--jobs",
        "1",
        "--device",
        "cpu",
        "--samples",
        "20",
        "--limit",
        "20",
    ]
    steps = ["--steps", "100000", "-o", str(out)]
    process = command(*how[:2], "mlp-vae", *how[3:], *steps)
    log = out / "runs" / "mlp-vae-0" / "log.jsonl"
    while not (log.is_file() and log.stat().st_size > 2000):
        assert process.poll() is None, process.communicate()
        time.sleep(0.2)
    process.kill()
    process.communicate()
    saved = out / "runs" / "mlp-vae-0" / "checkpoints"
    until = time.monotonic() + 60
    while not list(saved.glob("[0-9]*")) and time.monotonic() < until:
        time.sleep(0.2)
    assert list(saved.glob("[0-9]*")), "it saved when its parent was gone"

    again = command(*how, "--steps", "3", "-o", str(tmp_path / "two"), "--json")
    answer, said = again.communicate(timeout=300)
    assert again.returncode == 0, said
    results = {result["recipe"]: result for result in json.loads(answer)["results"]}
    assert "labels" in results["cvae"]["error"]
    assert results["ppca"]["figures"]["test"]["nats"]["kind"] == "exact"
    assert "cvae-0 failed" in said
    before = (tmp_path / "two" / "results" / "ppca-0.json").stat().st_mtime_ns
    resumed = command(*how, "--steps", "3", "-o", str(tmp_path / "two"), "--resume")
    answer, said = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, said
    assert (tmp_path / "two" / "results" / "ppca-0.json").stat().st_mtime_ns == before
    assert "comparison.html" in answer
