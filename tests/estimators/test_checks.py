"""scikit-learn's own checks of an estimator, all of them, on every estimator."""

from __future__ import annotations

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from lookalike.estimators import AAE, GAN, VAE, Autoencoder, Autoregressive, Detector, Flow

FEW: dict[str, Any] = {"steps": 5, "batch_size": 16}

ESTIMATORS = [
    Autoencoder(latent=2, hidden=(8,), **FEW),
    VAE(latent=2, width=8, options={"depth": 1}, **FEW),
    AAE(latent=2, width=8, options={"depth": 1}, **FEW),
    GAN(width=8, options={"depth": 1}, **FEW),
    Flow(width=8, couplings=2, options={"depth": 0}, **FEW),
    Autoregressive(width=8, components=2, options={"depth": 0}, **FEW),
    Detector(recipe="vae", options={"width": 8, "depth": 1}, **FEW),
]


FAIL = {
    "check_sample_weight_equivalence_on_dense_data": "rows are drawn at random by their weight, so rows twice and rows "
    "of weight 2 are two random paths to one optimum; scikit-learn lists the same of its own, as of IsolationForest"
}
"""All that is expected to fail, of the estimators that take weights."""


def failing(estimator: Any) -> dict[str, str]:
    return {} if isinstance(estimator, Detector) else FAIL


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=failing)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)
