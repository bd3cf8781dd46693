"""The run folder: what it keeps, what it refuses."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import lookalike
from lookalike.disk import write_atomically
from lookalike.errors import UserError
from lookalike.run import Run, held

SHORT = {"steps": 6, "batch_size": 8, "ema": 0.0, "device": "cpu"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return lookalike.train("linear-ae", "iris", out=tmp_path_factory.mktemp("runs") / "r", **SHORT)


def judged(run: Run, folder: Path, figures: dict[int, float]) -> Run:
    """A copy of a run whose validation figures were these."""
    shutil.copytree(run.path, folder)
    copy = Run.open(folder)
    kept = [r for r in copy.records() if r["split"] == "train"]
    (folder / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in kept))
    for step, mse in figures.items():
        copy.log({"step": step, "seconds": 1.0, "split": "valid", "mse": mse})
    return copy


def test_it_keeps_the_last_two_checkpoints_and_the_best_and_every_line_of_the_log(run: Run) -> None:
    figures = {r["step"]: r["mse"] for r in run.records() if r["split"] == "valid"}
    best = min(figures, key=lambda step: figures[step])
    assert {int(p.name) for p in run.checkpoints()} == {best, 5, 6}
    steps = [r["step"] for r in run.records() if r["split"] == "train"]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert all({"seconds", "lr", "loss", "items_per_second"} <= set(r) for r in run.records() if r["split"] == "train")


def test_a_model_that_got_worse_on_validation_is_given_as_it_was_at_its_best(run: Run, tmp_path: Path) -> None:
    def given(copy: Run) -> bool:
        best = load_file(copy.path / "checkpoints" / "00000005" / "ema.safetensors")
        state = copy.load_model()[0].state_dict()
        return all(torch.equal(state[name], value) for name, value in best.items())

    assert given(judged(run, tmp_path / "worse", {4: 0.3, 5: 0.1, 6: 0.2}))
    assert given(judged(run, tmp_path / "never a number", {5: 0.1, 6: float("nan")}))
    assert not given(judged(run, tmp_path / "better", {4: 0.3, 5: 0.2, 6: 0.1}))
    assert not given(judged(run, tmp_path / "not measured since", {5: 0.2}))


def test_where_the_best_checkpoint_is_damaged_the_newest_is_given_and_that_is_said(run: Run, tmp_path: Path) -> None:
    copy = judged(run, tmp_path / "r", {5: 0.1, 6: 0.2})
    (copy.path / "checkpoints" / "00000005" / "ema.safetensors").write_bytes(b"")
    _, (said,) = copy.load_model()
    assert "this is the newest" in said


def test_what_overfits_a_small_table_ends_with_its_best_milestone(tmp_path: Path) -> None:
    x = torch.randn(60, 6, generator=torch.Generator().manual_seed(0)).numpy()
    made = lookalike.train("made", x, out=tmp_path / "r", steps=200, lr=1e-2, ema=0.0, batch_size=32, device="cpu")
    figures = {r["step"]: r["bits_per_dim"] for r in made.records() if r["split"] == "valid"}
    best = made.best()
    assert best is not None
    assert figures[int(best.name)] == min(figures.values()) < figures[200] - 0.5


def test_the_header_says_all_that_made_it(run: Run) -> None:
    header = json.loads((run.path / "run.json").read_text())
    assert {"recipe", "spec", "data", "seed", "environment", "networks", "command"} <= set(header)
    assert header["data"]["fingerprint"]
    assert header["environment"]["torch"] == torch.__version__


def test_a_log_cut_short_by_a_kill_is_read_to_its_last_whole_line(run: Run) -> None:
    before = run.records()
    log = run.path / "log.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"step": 7, "spl')
    assert run.records() == before
    run.rewind(4)
    assert {r["step"] for r in run.records()} == {0, 1, 2, 3, 4}  # 0: of the data
    log.write_bytes(whole)


def test_a_loaded_model_is_in_the_users_units_and_in_eval_mode(run: Run) -> None:
    model = lookalike.load(run.path)
    x, _ = lookalike.open_data("iris").test.first(5)
    assert not model.training
    assert model.reconstruct(x).shape == x.shape
    # Four columns through a code as wide as they are: what comes back is in centimetres, not in deviations.
    assert (model.reconstruct(x).mean(0) - x.mean(0)).abs().max() < 2


def test_a_hold_is_for_one_and_leaves_nothing_behind(tmp_path: Path) -> None:
    refused: list[str] = []

    def second() -> None:
        try:
            with held(tmp_path / "r"):
                pass
        except UserError as error:
            refused.append(str(error))

    with held(tmp_path / "r"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert "trained by another process" in refused[0]
    assert not (tmp_path / "r").exists()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"old")

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as half:
            half.write(content[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="No space left"):
        write_atomically(file, b"new content")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_nothing_is_unpickled(run: Run, tmp_path: Path) -> None:
    """A state with code in it is refused, whatever its checksum says."""
    import hashlib
    import pickle
    import shutil

    copy = tmp_path / "r"
    shutil.copytree(run.path, copy)
    newest = Run.open(copy).checkpoints()[-1]
    (newest / "state.pt").write_bytes(pickle.dumps(Trap(str(tmp_path / "sprung"))))
    sums = json.loads((newest / "checksums.json").read_text())
    sums["state.pt"] = hashlib.sha256((newest / "state.pt").read_bytes()).hexdigest()
    (newest / "checksums.json").write_text(json.dumps(sums))
    with pytest.raises(UserError, match="not opened"):
        lookalike.train("linear-ae", "iris", out=copy, resume=True, **SHORT)
    lookalike.load(copy)
    assert not (tmp_path / "sprung").exists()


class Trap:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (self.path, "w")


def test_tensorboard_gets_what_the_log_gets(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    made = lookalike.train("linear-ae", "iris", out=tmp_path / "r", tensorboard=True, **SHORT)
    events = EventAccumulator(str(tmp_path / "r" / "tensorboard"))
    events.Reload()
    told = {e.step: e.value for e in events.Scalars("train/loss")}
    logged = {r["step"]: r["loss"] for r in made.records() if r["split"] == "train"}
    assert told == pytest.approx(logged)


def test_the_users_own_networks_must_come_again_to_load(tmp_path: Path) -> None:
    from torch import nn

    encoder, decoder = nn.Linear(4, 2), nn.Linear(2, 4)
    own = {"encoder": encoder, "decoder": decoder}
    made = lookalike.train("deep-ae", "iris", out=tmp_path / "r", latent=2, **own, **SHORT)
    with pytest.raises(UserError, match="decoder, encoder"):
        lookalike.load(tmp_path / "r")
    model = lookalike.load(tmp_path / "r", encoder=nn.Linear(4, 2), decoder=nn.Linear(2, 4))
    x, _ = lookalike.open_data("iris").test.first(5)
    again = lookalike.load(tmp_path / "r", encoder=nn.Linear(4, 2), decoder=nn.Linear(2, 4))
    torch.testing.assert_close(model.encode(x), again.encode(x))
    opened = lookalike.Run.open(tmp_path / "r", encoder=nn.Linear(4, 2), decoder=nn.Linear(2, 4))
    assert lookalike.evaluate(opened).json()["metrics"]["mse"] == lookalike.evaluate(made).json()["metrics"]["mse"]
    with pytest.raises(UserError, match="linear-ae takes no network 'encoder'"):
        lookalike.train("linear-ae", "iris", out=tmp_path / "q", encoder=encoder, **SHORT)


def test_a_folder_that_goes_while_it_is_held_leaves_the_first_error_standing(tmp_path: Path) -> None:
    def hold() -> None:
        with held(tmp_path / "r"):
            shutil.rmtree(tmp_path / "r")
            raise UserError("the first")

    with pytest.raises(UserError, match="the first"):
        hold()
