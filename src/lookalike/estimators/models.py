"""Every family as an estimator; a family is a name, its recipes, and the options worth a keyword of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..models.base import Encoder, Explicit, Implicit
from .base import Coder, Dense, Drawn, Lossy, Rows


@dataclass(kw_only=True, eq=False, repr=False)
class Autoencoder(Lossy):
    """A code that rows can be rebuilt from; no density, and nothing to draw.

    Arguments:
        recipe: deep-ae, or linear-ae for principal components.
        latent: numbers in the code.
        hidden: units of each hidden layer of the encoder; the decoder has them in reverse.
        Others: as `Learner`.
    """

    families: ClassVar = ("autoencoder",)
    capable: ClassVar = (Encoder,)
    shapes: ClassVar = ("latent", "hidden")

    recipe: str = "deep-ae"
    latent: int | None = None
    hidden: tuple[int, ...] | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class VAE(Coder, Dense, Drawn):
    """A variational autoencoder: a code, rows drawn from it, and a lower bound on log p(x).

    Arguments:
        recipe: vae, beta-vae, iwae, mlp-vae, ladder-vae or linear-vae.
        latent: numbers in the code.
        width: units of a hidden layer (vae, beta-vae, iwae, ladder-vae).
        hidden: units of each hidden layer (mlp-vae).
        beta: weight of the rate in training.
        Others: as `Learner`.
    """

    families: ClassVar = ("approximate.vae",)
    capable: ClassVar = (Encoder, Explicit)
    shapes: ClassVar = ("latent", "width", "hidden", "beta")

    recipe: str = "vae"
    latent: int | None = None
    width: int | None = None
    hidden: tuple[int, ...] | None = None
    beta: float | None = None

    def score_samples(self, X: Any) -> Rows:
        """A lower bound on log p(x) of each row in nats, shape (N,): importance-weighted, of 8 draws of the code.

        It is no log-likelihood: that may be higher, and the bounds of two models are not to be compared as such. The
        draws are the same for every row, so the bound of a row does not depend on the others.
        """
        return super().score_samples(X)


@dataclass(kw_only=True, eq=False, repr=False)
class AAE(Lossy, Drawn):
    """An adversarial autoencoder: a code that is distributed like a prior, and rows drawn from it.

    Arguments:
        recipe: aae.
        latent: numbers in the code.
        width: units of a hidden layer.
        code_prior: what codes are to be distributed like: gaussian, uniform, mixture, swiss-roll, ...
        Others: as `Learner`.
    """

    families: ClassVar = ("implicit.aae",)
    capable: ClassVar = (Encoder, Implicit)
    shapes: ClassVar = ("latent", "width", "code_prior")

    recipe: str = "aae"
    latent: int | None = None
    width: int | None = None
    code_prior: str | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class GAN(Drawn):
    """A generative adversarial network: new rows, and neither a code nor a density.

    There is no `score`: for a search give `scoring`, such as a classifier's two-sample test of your own.

    Arguments:
        recipe: r3, r1, wgan-gp, lsgan, ...
        latent: numbers that a row is made of.
        width: units of a hidden layer.
        lr: one rate for both, or {"generator": ..., "discriminator": ...}.
        Others: as `Learner`.
    """

    families: ClassVar = ("implicit.gan",)
    capable: ClassVar = (Implicit,)
    shapes: ClassVar = ("latent", "width")

    recipe: str = "r3"
    latent: int | None = None
    width: int | None = None
    lr: float | Mapping[str, float] | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class Flow(Coder, Dense, Drawn):
    """A normalizing flow: exact log p(x), a code that rows come back from as they were, and rows drawn from it.

    A category or a value on a grid has no density: it is dequantised, and of such data `score_samples` is a lower
    bound by 8 draws.

    Arguments:
        recipe: realnvp, spline, maf, iaf or nice.
        width: units of a hidden layer.
        couplings: layers that each change half of the columns.
        Others: as `Learner`.
    """

    families: ClassVar = ("tractable.flow",)
    capable: ClassVar = (Encoder, Explicit)
    shapes: ClassVar = ("width", "couplings")

    recipe: str = "realnvp"
    width: int | None = None
    couplings: int | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class Autoregressive(Dense, Drawn):
    """An autoregressive model: each column given those before it, and so exact log p(x), of mixed rows too.

    Arguments:
        recipe: made.
        width: units of a hidden layer.
        components: Gaussians in the mixture of a number.
        orderings: of the columns, which the model averages over.
        Others: as `Learner`.
    """

    families: ClassVar = ("tractable.autoregressive",)
    capable: ClassVar = (Explicit,)
    shapes: ClassVar = ("width", "components", "orderings")

    recipe: str = "made"
    width: int | None = None
    components: int | None = None
    orderings: int | None = None
