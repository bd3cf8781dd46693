"""What a user of scikit-learn meets, and what an estimator's figures mean."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import lookalike
from lookalike.estimators import AAE, GAN, VAE, Autoencoder, Autoregressive, Detector, Flow
from lookalike.estimators.learning import Same, alike

FEW: dict[str, Any] = {"steps": 30, "batch_size": 32, "random_state": 0}
SMALL: dict[str, Any] = {
    "autoencoder": Autoencoder(latent=2, hidden=(8,), **FEW),
    "vae": VAE(latent=2, width=8, options={"depth": 1}, **FEW),
    "aae": AAE(latent=2, width=8, options={"depth": 1}, **FEW),
    "gan": GAN(width=8, options={"depth": 1}, **FEW),
    "flow": Flow(width=8, couplings=2, options={"depth": 0}, **FEW),
    "autoregressive": Autoregressive(width=8, components=2, options={"depth": 0}, **FEW),
    "detector": Detector(recipe="vae", options={"width": 8, "depth": 1}, **FEW),
}
EVERY = pytest.mark.parametrize("name", SMALL)


def rows(n: int = 120, seed: int = 0) -> np.ndarray:
    """Correlated columns of unlike scales, shape (n, 4)."""
    mixing = np.random.default_rng(9).normal(size=(4, 4))
    return np.random.default_rng(seed).normal(size=(n, 4)) @ mixing * [1, 10, 0.1, 100] + [0, 5, -3, 1e3]


def frame(n: int = 120, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    colour = random.choice(["red", "green", "blue"], n)
    size = np.where(random.random(n) < 0.1, np.nan, random.normal(50, 9, n).round(1))
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 300, n), unit="D")
    return pd.DataFrame({"colour": colour, "size": size, "day": day, "n": random.integers(0, 40, n)})


def told(estimator: Any, X: Any) -> np.ndarray:
    """What an estimator says of rows."""
    for name in ("decision_function", "score_samples", "transform"):
        if hasattr(estimator, name):
            found: np.ndarray = np.asarray(getattr(estimator, name)(X))
            return found
    drawn = estimator.sample(5, random_state=0)
    found = np.asarray(drawn.drop(columns="colour", errors="ignore") if isinstance(drawn, pd.DataFrame) else drawn)
    return found.astype(str) if found.dtype == object else found


@EVERY
def test_a_seed_makes_one_model_and_leaves_torch_as_it_was(name: str) -> None:
    X = rows()
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one, two = (clone(SMALL[name]).fit(X) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(told(one, X), told(two, X))
    other = clone(SMALL[name]).set_params(random_state=1).fit(X)
    assert not np.array_equal(told(one, X), told(other, X))


@EVERY
@pytest.mark.parametrize("make", [rows, frame], ids=["rows", "frame"])
def test_a_pickle_and_a_folder_give_it_back(name: str, make: Any, tmp_path: Path) -> None:
    X = make()
    fitted = clone(SMALL[name]).fit(X)
    content = pickle.dumps(fitted)
    named = {value for op, value, _ in pickletools.genops(content) if isinstance(value, str) and "torch" in value}
    assert not any(value.startswith("torch") for value in named)  # bytes of safetensors, and plain values
    folder = fitted.save(tmp_path / "saved")
    for back in (pickle.loads(content), type(fitted).load(folder)):
        assert back.get_params() == fitted.get_params()
        np.testing.assert_array_equal(told(back, X), told(fitted, X))
        assert getattr(back, "feature_names_in_", None) is None or list(back.feature_names_in_) == list(X.columns)
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".joblib")]
    with pytest.raises(lookalike.UserError, match="exists"):
        fitted.save(folder)
    fitted.save(folder, overwrite=True)


def test_a_saved_estimator_is_a_run_for_every_command_and_the_other_way_round(tmp_path: Path) -> None:
    X = rows()
    folder = clone(SMALL["flow"]).fit(X).save(tmp_path / "flow")
    drawn = lookalike.sample(folder, n=5, out=tmp_path / "drawn.csv")
    assert len(pd.read_csv(tmp_path / "drawn.csv")) == 5, drawn
    with pytest.raises(lookalike.UserError, match="holds a Flow"):
        VAE.load(folder)
    with pytest.raises(lookalike.UserError, match="array in memory"):
        lookalike.evaluate(folder)

    pd.DataFrame(X, columns=list("abcd")).to_csv(tmp_path / "rows.csv", index=False)
    run = lookalike.train("vae", str(tmp_path / "rows.csv"), out=tmp_path / "run", steps=20)
    new = pd.DataFrame(rows(10, 1), columns=list("abcd"))
    assert VAE.load(run.path).transform(new).shape == (10, 4)
    assert Detector.load(run.path).predict(new).shape == (10,)
    with pytest.raises(lookalike.UserError, match="no Flow of rows"):
        Flow.load(run.path)

    told = json.loads((folder / "estimator.json").read_text())
    (folder / "estimator.json").write_text(json.dumps({**told, "parameters": {"depth_of_doom": 3}}))
    with pytest.raises(lookalike.UserError, match="depth_of_doom"):
        Flow.load(folder)
    (folder / "estimator.json").write_text("{")
    with pytest.raises(lookalike.UserError, match="damaged"):
        Flow.load(folder)


@EVERY
def test_words_gaps_and_dates_go_in_and_come_back(name: str) -> None:
    X = frame()
    fitted = clone(SMALL[name]).fit(X)
    assert len(told(fitted, X)) in (len(X), 5)
    if hasattr(fitted, "sample"):
        drawn = fitted.sample(20, random_state=0)
        assert list(drawn.columns) == list(X.columns)
        assert set(drawn["colour"]) <= {"red", "green", "blue"}
        assert drawn["day"].str.fullmatch(r"\d{4}-\d\d-\d\d").all()
        pd.testing.assert_frame_equal(drawn, fitted.sample(20, random_state=0))
    if hasattr(fitted, "transform"):
        assert list(fitted.inverse_transform(fitted.transform(X)).columns) == list(X.columns)
    if name != "gan":
        with pytest.raises(ValueError, match="frame"):
            told(fitted, rows())
    new = X.assign(colour="mauve")
    if name == "detector":  # to which a word never seen is odd, not wrong
        assert (fitted.decision_function(new) < fitted.decision_function(X)).mean() > 0.9
    elif name != "gan":
        with pytest.raises(ValueError, match="knows only"):
            told(fitted, new)


def test_gaps_in_an_array_are_learnt_and_refused_where_there_were_none() -> None:
    X = rows()
    X[::7, 1] = np.nan
    fitted = clone(SMALL["autoregressive"]).fit(X)
    assert np.isfinite(fitted.score_samples(X)).all()
    assert np.isnan(fitted.sample(200, random_state=0)[:, 1]).any()
    with pytest.raises(ValueError, match="contains NaN in 'x0'"):
        fitted.score_samples(np.where([True, False, False, False], np.nan, X))


def test_what_was_constant_is_not_looked_at() -> None:
    """A fold of a cross-validation may lack what the next one has."""
    X = np.hstack([rows(), np.full((120, 1), 3.0)])
    fitted = clone(SMALL["vae"]).fit(X)
    other = X + np.eye(5)[4]
    np.testing.assert_array_equal(fitted.score_samples(X), fitted.score_samples(other))
    assert (fitted.sample(5, random_state=0)[:, 4] == 3).all()


@EVERY
def test_what_is_said_of_a_row_does_not_hang_on_the_others(name: str) -> None:
    X = rows(2500)  # more than go at once
    fitted = clone(SMALL[name]).fit(X[:200])
    if name != "gan":
        np.testing.assert_allclose(told(fitted, X)[::97], told(fitted, X[::97]), rtol=1e-9, atol=1e-9)


def test_a_batch_draws_what_one_item_draws() -> None:
    with Same():
        for draw in (
            lambda n: torch.randn(n, 3),
            lambda n: torch.rand((n, 3)),
            lambda n: torch.randn_like(torch.zeros(n, 3)),
            lambda n: torch.rand_like(torch.zeros(n, 3)),
            lambda n: torch.zeros(n, 3).new_empty(n, 3).normal_(),
        ):
            torch.manual_seed(0)
            one = draw(1)
            torch.manual_seed(0)
            assert torch.equal(draw(5), one.expand(5, 3))


def test_the_same_draws_leave_the_bound_unbiased() -> None:
    """Over many seeds the mean of the bound of an item is that of draws of its own."""
    fitted = clone(SMALL["vae"]).fit(rows())
    model, x = fitted._exact, torch.from_numpy(rows(3, 1))
    same = []
    for seed in range(400):
        with alike(model, seed):
            same.append(model.log_prob(x))
    own = torch.cat([model.log_prob(x[i : i + 1].expand(400, 4))[None] for i in range(3)]).detach()
    shared = torch.stack(same).T
    error = ((shared.var(1) + own.var(1)) / 400).sqrt()
    assert ((shared.mean(1) - own.mean(1)).abs() < 4 * error).all()


def test_a_flow_is_exact_in_the_units_of_x_and_its_code_loses_nothing() -> None:
    X = rows()
    small = Flow(steps=100, couplings=2, width=16, random_state=0)
    fitted = clone(small).fit(X)
    np.testing.assert_allclose(fitted.inverse_transform(fitted.transform(X)), X, rtol=1e-6)
    # Stretching a column by 7 takes log 7 nats off every density.
    stretched = clone(small).fit(X * [7, 1, 1, 1])
    assert fitted.score(X) - stretched.score(X * [7, 1, 1, 1]) == pytest.approx(np.log(7), abs=0.05)
    assert fitted.bits_per_dim(X) == pytest.approx(-fitted.score(X) / (4 * np.log(2)))


def test_a_linear_autoencoder_is_pca() -> None:
    from sklearn.decomposition import PCA

    X = StandardScaler().fit_transform(rows(400))
    fitted = Autoencoder(recipe="linear-ae", latent=2, steps=800, lr=1e-2, validation_fraction=0, random_state=0).fit(X)
    pca = PCA(2).fit(X)
    lost = np.square(X - pca.inverse_transform(pca.transform(X))).mean()
    assert -fitted.score(X) == pytest.approx(lost, rel=0.02)


def test_searches_pipelines_names_and_frames() -> None:
    X = pd.DataFrame(rows(), columns=list("abcd"))
    search = GridSearchCV(clone(SMALL["vae"]), {"latent": np.arange(1, 3), "options": [{"depth": 1}]}, cv=2).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.sample(3).shape == (3, 4)
    pipe = make_pipeline(StandardScaler(), clone(SMALL["autoencoder"])).set_output(transform="pandas")
    codes = pipe.fit_transform(X)
    assert list(codes.columns) == ["autoencoder0", "autoencoder1"] == list(pipe.get_feature_names_out())
    fitted = clone(SMALL["flow"]).fit(X)
    assert list(fitted.feature_names_in_) == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        fitted.transform(X[list("badc")])


def test_it_is_silent_unless_asked_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        clone(SMALL["detector"]).fit(rows()).predict(rows())
    assert (out.getvalue(), err.getvalue()) == ("", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (VAE(recipe="realnvp"), "VAE takes one of"),
        (VAE(recipe="vea"), "Did you mean 'vae'"),
        (VAE(recipe="cvae"), "VAE takes one of"),
        (VAE(recipe="vqvae"), "VAE takes one of"),
        (VAE(latent=0), "at least 1"),
        (VAE(options={"latnet": 3}), "Did you mean 'latent'"),
        (VAE(validation_fraction=1.0), "validation_fraction"),
        (VAE(device="gpu"), "gpu"),
        (Detector(contamination=0.7), "contamination"),
        (Detector(scores=("likelyhood",), steps=1), "Did you mean 'likelihood'"),
        (Detector(false_alarms=2), "false_alarms"),
    ],
)
def test_a_wrong_parameter_is_said_by_fit(estimator: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        estimator.fit(rows())


def test_wrong_data_is_said() -> None:
    with pytest.raises(NotFittedError):
        VAE().score_samples(rows())
    with pytest.raises(ValueError, match="nothing to learn"):
        VAE(steps=1).fit(np.ones((30, 2)))
    with pytest.raises(ValueError, match="text"):
        VAE(steps=1).fit(pd.DataFrame({"a": [f"word {i}" for i in range(200)], "b": range(200)}))
    with pytest.raises(ValueError, match="infinity"):
        VAE(steps=1).fit(np.where(rows() > 1000, np.inf, rows()))
    fitted = clone(SMALL["vae"]).fit(rows())
    with pytest.raises(ValueError, match="codes have 2"):
        fitted.inverse_transform(np.ones((3, 5)))
    with pytest.raises(ValueError, match="n_samples"):
        fitted.sample(0)


def test_a_detector_flags_what_it_is_asked_to() -> None:
    X, odd = rows(400), rows(40, 1) + np.array([9, 0, 0, 300])
    auto = Detector(recipe="vae", steps=100, false_alarms=0.05, validation_fraction=0.25, random_state=0).fit(X)
    assert (auto.predict(odd) == -1).mean() > 0.9
    assert (auto.predict(rows(2000, 2)) == -1).mean() < 0.12  # 0.05 and the error of counting it on 100 rows
    assert ((auto.p_values(X) <= 0.05) >= (auto.predict(X) == -1)).all()
    assert (np.sign(auto.decision_function(odd)) <= 0).mean() > 0.9
    assert auto.explain(odd).shape == odd.shape
    share = clone(auto).set_params(contamination=0.1).fit(X)
    assert (share.fit_predict(X) == -1).mean() == pytest.approx(0.1, abs=0.005)


def test_rows_without_weight_are_as_if_they_were_not_there() -> None:
    X = rows()
    junk = np.vstack([X, X + np.array([500.0, 0, 0, 0])])
    weighted = clone(SMALL["flow"]).fit(junk, sample_weight=np.repeat([1.0, 0.0], len(X)))
    assert weighted.spec_.columns[0].mean == pytest.approx(X[:, 0].mean(), abs=0.3)  # of the nine tenths not held out
    assert np.abs(weighted.sample(200, random_state=0)[:, 0]).max() < 50
    with pytest.raises(ValueError, match="sample_weight leaves 1"):
        clone(SMALL["flow"]).fit(X, sample_weight=np.eye(len(X))[0])


def test_weights_say_how_often_a_row_counts() -> None:
    """Of two clusters whose rows weigh 3 and 1, three quarters of what is drawn is of the first."""
    random = np.random.default_rng(0)
    first = random.random(2000) < 0.5
    X = random.normal(size=(2000, 4)) * 0.2 + np.where(first, 2, -2)[:, None]
    made = Autoregressive(width=16, components=4, steps=200, lr=1e-2, random_state=0, options={"depth": 0})
    made.fit(X, sample_weight=np.where(first, 3.0, 1.0))
    assert (made.sample(2000, random_state=0)[:, 0] > 0).mean() == pytest.approx(0.75, abs=0.05)


def test_a_detector_looks_at_what_is_new_and_learns_of_known_outliers() -> None:
    X = frame().assign(always=3.0)
    detector = clone(SMALL["detector"]).fit(X)
    usual = detector.decision_function(X[:1])
    assert detector.decision_function(X[:1].assign(colour="mauve")) < usual
    # Odd are the rows in which two columns that go together do not.
    z = np.random.default_rng(0).normal(size=(600, 1))
    X = np.hstack([z, z, 3 * np.random.default_rng(1).normal(size=(600, 4))])
    odd = X * [1, -1, 1, 1, 1, 1]
    small = Detector(recipe="vae", steps=30, random_state=0, options={"width": 8, "depth": 1})
    plain, told = clone(small).fit(X[:400]), clone(small).fit(X[:400], outliers=odd[400:450])

    def caught(detector: Detector) -> float:
        return float((detector.score_samples(X[500:])[:, None] > detector.score_samples(odd[500:])).mean())

    assert caught(told) > caught(plain)
    back = pickle.loads(pickle.dumps(told))
    np.testing.assert_array_equal(back.score_samples(odd), told.score_samples(odd))
