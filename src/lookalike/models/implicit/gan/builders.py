"""The networks of a GAN from the data's shape, and its slots from plain values.

    condition     concat       one-hot labels beside z and beside h     Mirza & Osindero 2014, arXiv:1411.1784
                  projection   D(h, y) = v . phi(h) + e_y . phi(h) + c   Miyato & Koyama 2018, arXiv:1802.05637
                  classifier   D tells the class too                    Odena et al. 2017, arXiv:1610.09585
    codes                      D tells a part of z                      Chen et al. 2016, arXiv:1606.03657

Objectives are in `losses`, penalties in `penalties`, critics and constraints in `critics`, conditions in `conditions`,
the controller in `balance`, and what contradicts itself in `refusals`. Differs from the projection paper: the
generator takes its label beside z, not by batch normalisation.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated, Literal

from torch import nn

from ....nn.augment import Augmentation
from ....nn.beside import Beside
from ....nn.conv import Block, Norm
from ....nn.doors import Door
from ....nn.own import checked
from ....options import Range
from ....spec import Spec
from ..losses import OBJECTIVES, ObjectiveName
from ..losses import objective as objective_of
from ..penalties import PENALTIES, PenaltyName, Price, PullAway
from .balance import Controller
from .conditions import Codes, Told
from .critics import (
    Condition,
    Constraint,
    Critic,
    Energy,
    Error,
    Sizes,
    constrained,
    critic_of,
    energy_critic,
    to_data,
)
from .gan import GAN, has_batch_norm
from .refusals import refuse
from .view import View


def gan(
    spec: Spec,
    *,
    objective: ObjectiveName = "relativistic",
    coding: tuple[float, float, float] | None = None,
    margin: Annotated[float | None, Range(0, above=True)] = None,
    smoothing: Annotated[float | None, Range(0, 0.5)] = None,
    critic: Critic = "scalar",
    error: Error = "squared",
    code: Annotated[int, Range(1)] = 32,
    pull_away: Annotated[float, Range(0)] = 0.0,
    penalty: PenaltyName = "r1+r2",
    penalty_weight: Annotated[float | Literal["auto"], Range(0, above=True)] = 1.0,
    penalty_target: Annotated[float | None, Range(0)] = None,
    one_sided: bool = False,
    penalty_every: Annotated[int, Range(1)] = 1,
    penalty_halflife: Annotated[int, Range(0)] = 0,
    constraint: Constraint = "none",
    bound: Annotated[float | None, Range(0, above=True)] = None,
    condition: Condition = "none",
    class_weight: Annotated[float, Range(0, above=True)] = 1.0,
    categorical_codes: Annotated[tuple[int, ...] | None, Range(2)] = None,
    continuous_codes: Annotated[int, Range(0)] = 0,
    info_weight: Annotated[float, Range(0, above=True)] = 1.0,
    augment: tuple[Augmentation, ...] | None = None,
    augment_strength: Annotated[float | None, Range(0, 1)] = None,
    instance_noise: Annotated[float, Range(0)] = 0.0,
    noise_steps: Annotated[int | None, Range(1)] = None,
    pack: Annotated[int, Range(1)] = 1,
    n_critic: Annotated[int, Range(1)] = 1,
    diversity: Annotated[float | None, Range(0, 1, above=True)] = None,
    gain: Annotated[float | None, Range(0, above=True)] = None,
    latent: Annotated[int | None, Range(1)] = None,
    width: Annotated[int, Range(1)] = 128,
    depth: Annotated[int, Range(1)] = 3,
    block: Block = "residual",
    generator_norm: Norm = "none",
    discriminator_norm: Norm = "none",
    generator: nn.Module | None = None,
    discriminator: nn.Module | None = None,
) -> GAN:
    """A GAN for data like `spec`.

    Arguments:
        objective: what discriminator and generator are after.
        coding: of lsgan, labels a,b,c: samples to a, data to b, and the generator wants c; 0,1,1 if not given.
        margin: of energy, that samples are pushed up to; 1 if not given.
        smoothing: of minimax and nonsaturating, what the label 1 of data is short of; 0 if not given.
        critic: what the discriminator gives: a logit an item, a logit a patch, or an autoencoder's error.
        error: of an autoencoder, squared or absolute, the mean over an item's numbers.
        code: length of an autoencoder's code.
        pull_away: weight of the term that pulls the codes of samples apart.
        penalty: where the discriminator's slopes are held to 0 (r1, r2) or 1 (wgan-gp, dragan).
        penalty_weight: gamma of r1 and r2, lambda of wgan-gp and dragan; auto measures it over the first steps.
        penalty_target: the slope to hold to, where it is not the penalty's own.
        one_sided: only slopes above the target are to pay.
        penalty_every: turns of the discriminator for each that pays, as much higher.
        penalty_halflife: steps in which the penalty's weight halves; 0 for a constant one.
        constraint: spectral divides each weight of the discriminator by its largest singular value; clip
            cuts each to within the bound.
        bound: of clip; 0.01 if not given.
        condition: how labels enter: not at all, beside the input, by projection in the discriminator, or as
            what the discriminator is to tell (classifier).
        class_weight: of telling the class, where condition is classifier.
        categorical_codes: sizes of codes that the generator is to show without labels, such as 10 or 10,4.
        continuous_codes: how many numbers it is to show.
        info_weight: of telling the codes.
        augment: how images of data and samples are changed before they are judged, such as colour,translation,cutout.
        augment_strength: of these, from 0 to 1; 1 if not given.
        instance_noise: deviation of noise on what is judged at the first step, in units of the door.
        noise_steps: over which that noise falls to 0; 5000 if not given.
        pack: items that are judged together, which shows that samples are too much alike.
        n_critic: turns of the discriminator before each of the generator.
        diversity: of boundary, energy of samples over that of data; 0.5 if not given.
        gain: of boundary's controller; 0.001 if not given.
        latent: length of the noise z; where not given, 100 for images and as many as a row's numbers.
        width: of the networks: channels at the first halving of an image, or hidden units of a row.
        depth: hidden layers or residual blocks for points and tables; images have one for each halving.
        block: plain layers, or residual ones.
        generator_norm: normalisation in the generator of images.
        discriminator_norm: normalisation in the discriminator of images.
        generator: your own, from z (B, latent) to numbers of the door's shape, before any final tanh;
            with a condition it takes labels (B,) as a second argument; codes are the last entries of z.
        discriminator: your own, from an item as the door gives it (images in [-1, 1]) to a logit (B, 1), and
            beside it a logit for each class to tell, for each category of a code, and the mean of each
            number; with concat or projection it takes labels (B,) as a second argument. Of a pack it takes
            the items beside each other, (B, pack * C, H, W) or (B, pack * D).
    """
    told_codes = Codes(tuple(categorical_codes or ()), continuous_codes)
    own = None if discriminator is None else has_batch_norm(discriminator)
    batch_norm = discriminator_norm == "batch" if own is None else own
    refuse(SimpleNamespace(**locals(), codes=told_codes.width > 0))
    view = View(augment or (), 1.0 if augment_strength is None else augment_strength)
    view = view._replace(noise=instance_noise, noise_steps=noise_steps or 5000, pack=pack)
    shape, K = Door(spec).shape, len(spec.classes) if condition != "none" else 0
    told = Told(K if condition == "classifier" else 0, told_codes, class_weight, info_weight)
    latent = (latent or (100 if spec.kind == "images" else shape[0])) + told_codes.width
    if generator is not None:
        checked(generator, "generator", (latent,), shape, labels=K > 0)
    else:
        generator = to_data(latent + K, shape, Sizes(width, depth, block, generator_norm))
        generator = Beside(generator, K) if K else generator
    shape = (pack * shape[0], *shape[1:])
    if discriminator is None:
        sizes = Sizes(width, depth, block, discriminator_norm)
        if critic == "autoencoder":
            discriminator = energy_critic(shape, sizes, error, code, told=pull_away > 0)
        else:
            discriminator = critic_of(shape, sizes, critic, K, condition, told.outputs)
    elif critic == "autoencoder":
        discriminator = Energy(checked(discriminator, "discriminator", shape, shape), error)
    else:
        by_label = condition in ("concat", "projection")
        checked(discriminator, "discriminator", shape, (1 + told.outputs,), labels=by_label)
    held = PENALTIES[penalty]._replace(one_sided=one_sided)
    held = held if penalty_target is None else held._replace(target=penalty_target)
    balanced = OBJECTIVES[objective].balanced
    return GAN(
        spec,
        generator,
        constrained(discriminator) if constraint == "spectral" else discriminator,
        latent=latent,
        objective=objective_of(objective, coding=coding, margin=margin, smoothing=smoothing),
        price=Price(held, penalty_weight, penalty_every, penalty_halflife),
        pull_away=PullAway(pull_away) if pull_away > 0 else None,
        bound=(bound or 0.01) if constraint == "clip" else 0.0,
        controller=Controller(diversity or 0.5, gain or 1e-3) if balanced else None,
        n_critic=n_critic,
        conditional=condition != "none",
        told=told,
        view=view,
    )
