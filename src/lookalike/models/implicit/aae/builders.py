"""The networks of an adversarial autoencoder from the data's shape: convolutions or residual perceptrons, and a
perceptron that judges codes."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from torch import nn

from ....errors import UserError
from ....nn.beside import Beside
from ....nn.conv import Block, ConvDecoder, ConvEncoder
from ....nn.doors import Door
from ....nn.likelihoods import Likelihood
from ....nn.mlp import ResidualMLP, mlp
from ....nn.rows import Columns
from ....nn.rows import likelihood as likelihood_of
from ....options import Range
from ....spec import Spec
from ..losses import OBJECTIVES
from ..penalties import PENALTIES, PenaltyName, Price
from .aae import AAE, Condition, Posterior
from .priors import PRIORS, Own, Prior, PriorName

Game = Literal["minimax", "nonsaturating", "lsgan", "hinge", "wasserstein", "relativistic", "relativistic-average"]
"""The objectives of a discriminator that gives a logit, as one of codes does."""

FLOOR = -3.0
"""The smallest log scale of a number of a row: an autoencoder may keep one exactly, and its density has no top."""


def aae(
    spec: Spec,
    *,
    latent: Annotated[int, Range(1)] = 8,
    posterior: Posterior = "deterministic",
    code_prior: PriorName = "gaussian",
    condition: Condition = "none",
    width: Annotated[int, Range(1)] = 32,
    depth: Annotated[int, Range(1)] = 3,
    block: Block = "plain",
    noise: Annotated[int, Range(1)] = 8,
    likelihood: Literal["auto", "bernoulli", "logistic", "gaussian"] = "auto",
    components: Annotated[int, Range(1)] = 1,
    discriminator_hidden: Annotated[tuple[int, ...], Range(1)] = (128, 128),
    objective: Game = "nonsaturating",
    penalty: PenaltyName = "r1",
    penalty_weight: Annotated[float | Literal["auto"], Range(0, above=True)] = 0.1,
    n_critic: Annotated[int, Range(1)] = 1,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    discriminator: nn.Module | None = None,
    sampler: Any = None,
) -> AAE:
    """An adversarial autoencoder for data like `spec`.

    Arguments:
        latent: numbers in the code.
        posterior: of the code of an item; one code, normal, or whatever the encoder makes of noise beside the item.
        code_prior: what the codes are to be distributed like; of a mixture and a swiss-roll the first two numbers.
        condition: where labels enter; prior gives each a part of a mixture or a swiss-roll, decoder leaves the code
            all but the label.
        width: channels of the first convolution (doubled at each halving), or units of a hidden layer.
        depth: residual blocks of the perceptrons; images have as many layers as halvings.
        block: plain or residual convolutions; the latter are slower and better.
        noise: numbers of noise beside an item in a universal posterior.
        likelihood: of x given its code; auto takes bernoulli for binary images, and for others gaussian: the squared
            error with a learnt scale.
        components: Gaussians in the mixture for each number of a table or point.
        discriminator_hidden: units of each hidden layer of the discriminator of codes.
        objective: what the discriminator, and the encoder as a generator of codes, are after.
        penalty: where the discriminator's slopes are held to 0 (r1, r2) or 1 (wgan-gp, dragan).
        penalty_weight: gamma of r1 and r2, lambda of wgan-gp and dragan; auto measures it over the first steps.
        n_critic: turns of the discriminator in each step.
        encoder: your own, from (B, *shape) to (B, latent), for a gaussian posterior (B, 2 * latent); for a universal
            one it takes `noise` more channels or columns.
        decoder: your own, from (B, latent) to the likelihood's parameters; labels (B,) come second with --condition
            decoder.
        discriminator: your own, from (B, latent) to a logit (B, 1); labels (B,) come second with --condition prior.
        sampler: a prior of your own, a function of n, with --condition prior of n and labels (n,), that draws (n,
            latent).
    """
    K = len(spec.classes) if condition != "none" else 0
    code = _code_prior(spec, code_prior, sampler, latent, condition)
    _refuse_free_slopes(objective, penalty)
    p_x = _likelihood(spec, likelihood, components)
    of_prior, of_decoder = (K if condition == where else 0 for where in ("prior", "decoder"))
    shape = Door(spec).shape
    taken = (shape[0] + (noise if posterior == "universal" else 0), *shape[1:])
    given = 2 * latent if posterior == "gaussian" else latent
    if spec.kind == "images":
        encoder = encoder or ConvEncoder(taken, given, width, block)
        ours: nn.Module = ConvDecoder(latent + of_decoder, (p_x.width, *shape[1:]), width, block)
    else:
        encoder = encoder or ResidualMLP(taken[0], given, width, depth)
        ours = ResidualMLP(latent + of_decoder, p_x.width, width, depth)
    judge: nn.Module = mlp((latent + of_prior, *discriminator_hidden, 1), partial(nn.LeakyReLU, 0.2))
    return AAE(
        spec,
        encoder,
        decoder or (Beside(ours, K) if of_decoder else ours),
        discriminator or (Beside(judge, K) if of_prior else judge),
        p_x,
        code,
        objective=OBJECTIVES[objective],
        price=Price(PENALTIES[penalty], penalty_weight),
        posterior=posterior,
        noise=noise,
        n_critic=n_critic,
        condition=condition,
    )


def _likelihood(spec: Spec, name: str, components: int) -> Likelihood:
    if spec.kind != "images":
        likelihood_of(spec, name)  # which refuses those of images
        return Columns(spec, components, FLOOR)
    return likelihood_of(spec, "gaussian" if name == "auto" and spec.levels > 2 else name)


def _code_prior(spec: Spec, name: PriorName, sampler: Any, latent: int, condition: Condition) -> Prior:
    """The prior of that name, or the user's own, with parts for labels where they have parts."""
    if condition != "none" and not spec.classes:
        raise UserError(f"--condition {condition} needs labels, but this data has none. Name them with --label.")
    classes = len(spec.classes) if condition == "prior" else 0
    if sampler is not None:
        return Own(sampler, latent, classes)
    if classes and not PRIORS[name].parts:
        raise UserError(
            f"a {name} prior has no parts to give to labels: choose --code-prior mixture or swiss-roll, "
            "or --condition decoder."
        )
    return PRIORS[name](latent, classes)


def _refuse_free_slopes(objective: str, penalty: str) -> None:
    if penalty == "none" and not OBJECTIVES[objective].bounded:
        raise UserError(
            f"the {objective} objective has no lowest value unless the discriminator's slopes are held: "
            "add --penalty wgan-gp."
        )
