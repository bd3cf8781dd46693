"""Against PyOD's definitions, worked out by hand."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.special import erf
from scipy.stats import binom

import lookalike
from lookalike import estimators
from lookalike.estimators import pyod


def rows(n: int = 150, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 4))


@pytest.fixture(scope="module")
def fitted() -> pyod.AutoEncoder:
    return pyod.AutoEncoder(steps=30, random_state=0).fit(rows())


def test_signs_labels_and_threshold_are_pyods(fitted: pyod.AutoEncoder) -> None:
    X = rows()
    np.testing.assert_allclose(fitted.decision_function(X), fitted.decision_scores_, rtol=1e-9)
    assert fitted.labels_.sum() == 15  # 10 % of 150
    np.testing.assert_array_equal(fitted.labels_, fitted.decision_scores_ > fitted.threshold_)
    odd = np.full((1, 4), 30.0)
    assert fitted.decision_function(odd) > fitted.decision_scores_.max()
    assert fitted.predict(odd) == [1]
    sk = estimators.Detector(
        recipe="wide-ae", scores=("reconstruction",), contamination=0.1, steps=30, random_state=0
    ).fit(X)
    np.testing.assert_array_equal(sk.predict(X) == -1, fitted.predict(X) == 1)
    np.testing.assert_allclose(sk.score_samples(X), -fitted.decision_scores_)


def test_probabilities_and_confidence_are_pyods(fitted: pyod.AutoEncoder) -> None:
    X, of_fit = rows(40, 1), fitted.decision_scores_
    scores = fitted.decision_function(X)
    linear = ((scores - of_fit.min()) / (of_fit.max() - of_fit.min())).clip(0, 1)
    np.testing.assert_allclose(fitted.predict_proba(X)[:, 1], linear)
    unified = erf((scores - of_fit.mean()) / (of_fit.std() * np.sqrt(2))).clip(0, 1)
    probs, confidence = fitted.predict_proba(X, method="unify", return_confidence=True)
    np.testing.assert_allclose(probs, np.stack([1 - unified, unified], 1))
    posterior = np.array([(1 + (of_fit <= score).sum()) / (2 + 150) for score in scores])
    flagged = 1 - binom.cdf(150 - 15, 150, posterior)
    labels, again = fitted.predict(X, return_confidence=True)
    np.testing.assert_allclose(confidence, np.where(labels == 1, flagged, 1 - flagged))
    np.testing.assert_array_equal(confidence, again)
    with pytest.raises(ValueError, match="linear or unify"):
        fitted.predict_proba(X, method="sqrt")  # type: ignore[arg-type]


def test_a_pickle_and_a_folder_give_it_back(fitted: pyod.AutoEncoder, tmp_path: Path) -> None:
    folder = fitted.save(tmp_path / "saved")
    for back in (pickle.loads(pickle.dumps(fitted)), pyod.AutoEncoder.load(folder)):
        np.testing.assert_array_equal(back.predict_proba(rows(9, 1)), fitted.predict_proba(rows(9, 1)))
        np.testing.assert_array_equal(back.labels_, fitted.labels_)
        assert back.threshold_ == fitted.threshold_
    with pytest.raises(lookalike.UserError, match=r"load it by pyod\.AutoEncoder\.load"):
        pyod.VAE.load(folder)


def test_the_vae_and_the_default_too() -> None:
    X = rows()
    for detector in (pyod.VAE(width=8, steps=20), pyod.Detector(steps=20)):
        assert detector.fit_predict(X).sum() == 15
        np.testing.assert_allclose(detector.explain(X).sum(1), 1)
    with pytest.raises(ValueError, match="contamination"):
        pyod.VAE(contamination=0.0).fit(X)
