"""scikit-learn's interface over the same recipes, the same training loop and the same scores.

    Autoencoder, AAE     fit   transform, inverse_transform   score            (minus the squared error)   AAE: sample
    VAE, Flow            fit   transform, inverse_transform   score_samples    (log p(x), or a bound)           sample
    Autoregressive       fit                                  score_samples    (log p(x))                       sample
    GAN                  fit                                                                                    sample
    Detector             fit   fit_predict, predict (+1, -1)  score_samples, decision_function (larger: more normal)

    >>> from lookalike.estimators import Detector
    >>> Detector(contamination=0.05).fit_predict(X)                                        # doctest: +SKIP

Nothing is trained otherwise than by `lookalike train`: an estimator is a recipe, its numbers as keyword arguments, and
rows in memory. A PyOD user finds the names they know in `lookalike.estimators.pyod`.
"""

from __future__ import annotations

from .detector import Detector
from .models import AAE, GAN, VAE, Autoencoder, Autoregressive, Flow

__all__ = ["AAE", "GAN", "VAE", "Autoencoder", "Autoregressive", "Detector", "Flow"]
