"""scikit-learn's own checks of an estimator, all of them, on every estimator."""

from __future__ import annotations

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from lookalike.estimators import AAE, GAN, VAE, Autoencoder, Autoregressive, Detector, Flow

FEW: dict[str, Any] = {"steps": 20, "batch_size": 32}

ESTIMATORS = [
    Autoencoder(latent=2, hidden=(8,), **FEW),
    VAE(latent=2, width=8, options={"depth": 1}, **FEW),
    AAE(latent=2, width=8, options={"depth": 1}, **FEW),
    GAN(width=8, options={"depth": 1}, **FEW),
    Flow(width=8, couplings=2, options={"depth": 0}, **FEW),
    Autoregressive(width=8, components=2, options={"depth": 0}, **FEW),
    Detector(recipe="vae", options={"width": 8, "depth": 1}, **FEW),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)
