"""The published flows, put together of the same parts: nice, realnvp, glow, maf, iaf and spline couplings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from ....errors import UserError
from ....nn.mlp import ResidualMLP
from ....nn.own import checked
from ....nn.resnet import ResidualConv
from ....options import Range
from ....spec import Spec
from .bijections import ActNorm, Bijection, Chain, Flatten, Inverse, Linear
from .coupling import Autoregressive, Conditioner, Coupling, coupled
from .dequantise import Dequantise, Noise
from .elementwise import Elementwise, additive, affine
from .elementwise import spline as spline_maps
from .flow import Flow
from .multiscale import MultiScale, Squares, checkered, halves

Dequantisation = Literal["uniform", "variational"]


def nice(
    spec: Spec,
    *,
    couplings: Annotated[int, Range(1)] = 4,
    width: Annotated[int, Range(1)] = 256,
    depth: Annotated[int, Range(0)] = 2,
    conditional: bool = False,
    dequantisation: Dequantisation = "uniform",
    conditioner: Conditioner | None = None,
) -> Flow:
    """NICE: additive couplings of every other number, and a scale for each; images are flattened.

    Dinh et al. (2015), arXiv:1410.8516, section 5.1. Differs: a Gaussian where the paper has a logistic prior,
    residual networks, a shift beside the scale, both set by the first batch (ActNorm).

    Arguments:
        couplings: in all.
        width: of the network in a coupling.
        depth: residual blocks in the network of a coupling.
        conditional: whether to learn p(x | label).
        dequantisation: noise within the bins of what is discrete: uniform, or learnt with the model.
        conditioner: instead of those networks, your own: `conditioner(inputs, outputs)` makes one that takes
            (B, inputs) to (B, outputs).
    """

    def rows(columns: int, context: int) -> Bijection:
        other = torch.arange(columns) % 2
        masks = [other if n % 2 == 0 else 1 - other for n in range(couplings)]
        made = _networks(conditioner, ResidualMLP, width, depth)
        return Chain([coupled(masks, columns, additive(), made, context, list), ActNorm(columns, 1)])

    return _flow(spec, _flat(rows), "nice", conditional, dequantisation)


def realnvp(
    spec: Spec,
    *,
    couplings: Annotated[int, Range(1)] = 8,
    width: Annotated[int, Range(1)] = 64,
    depth: Annotated[int, Range(0)] = 2,
    scales: Annotated[int, Range(1)] = 3,
    conditional: bool = False,
    dequantisation: Dequantisation = "uniform",
    conditioner: Conditioner | None = None,
) -> Flow:
    """RealNVP: affine couplings, of random halves of the columns or of the squares of an image.

    Dinh et al. (2017), arXiv:1605.08803. Differs: ActNorm instead of batch normalisation between couplings, so that
    log p(x) of one item does not depend on the rest of its batch; residual networks without normalisation; the
    order of masks and squeezes (see `multiscale`).

    Arguments:
        couplings: in all; for images at each scale.
        width: of the network in a coupling.
        depth: residual blocks in the network of a coupling.
        scales: of an image; at each the sides are halved and half of the numbers are done.
        conditional: whether to learn p(x | label).
        dequantisation: noise within the bins of what is discrete: uniform, or learnt with the model.
        conditioner: instead of those networks, your own: `conditioner(inputs, outputs)` makes one that takes
            (B, inputs, ...) to (B, outputs, ...) with the rest of the shape as it was.
    """

    def make(shape: tuple[int, ...], context: int) -> Bijection:
        if len(shape) == 1:
            made = _networks(conditioner, ResidualMLP, width, depth)
            masks = _random_halves(shape[0], couplings)
            return coupled(masks, shape[0], affine(), made, context, lambda: [ActNorm(shape[0], 1)])
        made = _networks(conditioner, ResidualConv, width, depth)

        def even(channels: int) -> Bijection:
            masks = checkered(channels, couplings)
            return coupled(masks, channels, affine(), made, context, lambda: [ActNorm(channels, 3)])

        return MultiScale(shape, scales, _at_full_size(affine(), made, context), even)

    return _flow(spec, make, "realnvp", conditional, dequantisation)


def glow(
    spec: Spec,
    *,
    couplings: Annotated[int, Range(1)] = 8,
    width: Annotated[int, Range(1)] = 64,
    depth: Annotated[int, Range(0)] = 2,
    scales: Annotated[int, Range(1)] = 3,
    conditional: bool = False,
    dequantisation: Dequantisation = "uniform",
    conditioner: Conditioner | None = None,
) -> Flow:
    """Glow: ActNorm, an invertible 1x1 convolution and an affine coupling, over and over, at each scale.

    Kingma & Dhariwal (2018), arXiv:1807.03039, with the LU form of the convolution and learnt priors of what is
    split off at each scale (one more coupling). Differs: residual networks; rows of a table are images of one pixel.

    Arguments:
        couplings: in all; for images at each scale.
        width: of the network in a coupling.
        depth: residual blocks in the network of a coupling.
        scales: of an image; at each the sides are halved and half of the numbers are done.
        conditional: whether to learn p(x | label).
        dequantisation: noise within the bins of what is discrete: uniform, or learnt with the model.
        conditioner: instead of those networks, your own: `conditioner(inputs, outputs)` makes one that takes
            (B, inputs, ...) to (B, outputs, ...) with the rest of the shape as it was.
    """
    mixed = _mixed(affine(), couplings, width, depth, scales, conditioner)
    return _flow(spec, mixed, "glow", conditional, dequantisation)


def spline(
    spec: Spec,
    *,
    couplings: Annotated[int, Range(1)] = 6,
    width: Annotated[int, Range(1)] = 64,
    depth: Annotated[int, Range(0)] = 2,
    bins: Annotated[int, Range(2)] = 8,
    scales: Annotated[int, Range(1)] = 3,
    conditional: bool = False,
    dequantisation: Dequantisation = "uniform",
    conditioner: Conditioner | None = None,
) -> Flow:
    """Neural spline flow: as glow, with rational-quadratic splines for couplings, which bend where a line cannot.

    Durkan et al. (2019), arXiv:1906.04032, section 3. Differs: see `glow`.

    Arguments:
        couplings: in all; for images at each scale.
        width: of the network in a coupling.
        depth: residual blocks in the network of a coupling.
        bins: of each spline.
        scales: of an image; at each the sides are halved and half of the numbers are done.
        conditional: whether to learn p(x | label).
        dequantisation: noise within the bins of what is discrete: uniform, or learnt with the model.
        conditioner: instead of those networks, your own: `conditioner(inputs, outputs)` makes one that takes
            (B, inputs, ...) to (B, outputs, ...) with the rest of the shape as it was.
    """
    mixed = _mixed(spline_maps(bins), couplings, width, depth, scales, conditioner)
    return _flow(spec, mixed, "spline", conditional, dequantisation)


def maf(
    spec: Spec,
    *,
    couplings: Annotated[int, Range(1)] = 5,
    width: Annotated[int, Range(1)] = 128,
    depth: Annotated[int, Range(0)] = 1,
    bins: Annotated[int, Range(0)] = 0,
    conditional: bool = False,
    dequantisation: Dequantisation = "uniform",
) -> Flow:
    """Masked autoregressive flow: each number scaled and shifted by those before it; one pass to score, one for each
    number to sample. Images are flattened.

    Papamakarios et al. (2017), arXiv:1705.07057. Differs: ActNorm instead of batch normalisation.

    Arguments:
        couplings: maps in all, the order of the numbers reversed from one to the next.
        width: of the masked network of a map.
        depth: residual blocks in it.
        bins: of splines in the place of scales and shifts; 0 for those.
        conditional: whether to learn p(x | label).
        dequantisation: noise within the bins of what is discrete: uniform, or learnt with the model.
    """

    def rows(columns: int, context: int) -> Bijection:
        return _autoregressive(columns, context, couplings, width, depth, bins)

    return _flow(spec, _flat(rows), "maf", conditional, dequantisation)


def iaf(
    spec: Spec,
    *,
    couplings: Annotated[int, Range(1)] = 3,
    width: Annotated[int, Range(1)] = 64,
    depth: Annotated[int, Range(0)] = 1,
    conditional: bool = False,
    dequantisation: Dequantisation = "uniform",
) -> Flow:
    """Inverse autoregressive flow: maf run backwards; one pass to sample, one for each number to score.

    Kingma et al. (2016), arXiv:1606.04934, section 3. Differs: learnt by maximum likelihood, not as a posterior.

    Arguments:
        couplings: maps in all, the order of the numbers reversed from one to the next.
        width: of the masked network of a map.
        depth: residual blocks in it.
        conditional: whether to learn p(x | label).
        dequantisation: noise within the bins of what is discrete: uniform, or learnt with the model.
    """

    def rows(columns: int, context: int) -> Bijection:
        return Inverse(_autoregressive(columns, context, couplings, width, depth, 0))

    return _flow(spec, _flat(rows), "iaf", conditional, dequantisation)


Make = Callable[[tuple[int, ...], int], Bijection]
"""The bijection for v of this shape, given so many columns of context."""


def _flow(spec: Spec, make: Make, recipe: str, conditional: bool, dequantisation: Dequantisation) -> Flow:
    if conditional and not spec.classes:
        raise UserError(f"{recipe}: conditional needs labels, but this data has none. Name them with --label.")
    dequantise = Dequantise(spec)
    shape = dequantise.shape
    learnt = dequantisation == "variational" and not dequantise.exact
    noise = Noise(shape, dequantise.door, _noise(shape, dequantise.door.shape[0]) if learnt else None)
    return Flow(spec, make(shape, len(spec.classes) * conditional), noise, conditional)


def _noise(shape: tuple[int, ...], context: int) -> Bijection:
    """The flow of variational dequantisation, four affine couplings that see the data at their place."""
    if len(shape) == 1:
        made = _networks(None, ResidualMLP, 64, 1)
        return coupled(_random_halves(shape[0], 4), shape[0], affine(), made, context, list)
    made = _networks(None, ResidualConv, 32, 1)

    def even(channels: int) -> Bijection:
        return coupled(checkered(channels, 4), channels, affine(), made, 4 * context, list)

    return Squares(shape, _at_full_size(affine(), made, context), even)


def _mixed(
    elementwise: Elementwise, count: int, width: int, depth: int, scales: int, conditioner: Conditioner | None
) -> Make:
    """Steps of ActNorm, an LU map of the channels, and a coupling of one half."""

    def make(shape: tuple[int, ...], context: int) -> Bijection:
        dims = len(shape)
        made = _networks(conditioner, ResidualMLP if dims == 1 else ResidualConv, width, depth)

        def steps(channels: int) -> Bijection:
            def between() -> list[Bijection]:
                return [ActNorm(channels, dims), Linear(channels)]

            return coupled(halves(channels, count, dims), channels, elementwise, made, context, between)

        def even(channels: int) -> Bijection:
            # The half that goes on decides mean and scale of the half that is split off: its learnt prior.
            prior = Coupling(halves(channels, 1)[0], channels, affine(), made, context)
            return Chain([steps(channels), prior])

        if dims == 1:
            return steps(shape[0])
        return MultiScale(shape, scales, _at_full_size(elementwise, made, context), even)

    return make


def _autoregressive(columns: int, context: int, count: int, width: int, depth: int, bins: int) -> Chain:
    steps: list[Bijection] = []
    for n in range(count):
        maps = spline_maps(bins) if bins else affine()
        steps += [
            ActNorm(columns, 1),
            Autoregressive(columns, maps, backwards=n % 2 == 1, context=context, width=width, depth=depth),
        ]
    return Chain(steps)


def _flat(rows: Callable[[int, int], Bijection]) -> Make:
    """The bijection of rows, for images flattened."""

    def make(shape: tuple[int, ...], context: int) -> Bijection:
        found = rows(math.prod(shape), context)
        return found if len(shape) == 1 else Chain([Flatten(shape), found])

    return make


def _at_full_size(elementwise: Elementwise, conditioner: Conditioner, context: int) -> Callable[..., Bijection]:
    """Couplings of images with an odd side, before they are squeezed."""

    def make(masks: Sequence[Tensor], channels: int) -> Bijection:
        return coupled(masks, channels, elementwise, conditioner, context, lambda: [ActNorm(channels, 3)])

    return make


def _random_halves(columns: int, count: int) -> list[Tensor]:
    """Masks of random halves of the columns, each half and then the other."""
    masks: list[Tensor] = []
    for i in range(0, count, 2):
        order = torch.randperm(columns, generator=torch.Generator().manual_seed(i))
        mask = (order < columns // 2).long()
        masks += [mask, 1 - mask]
    return masks[:count]


def _networks(
    own: Conditioner | None, network: type[ResidualMLP] | type[ResidualConv], width: int, depth: int
) -> Conditioner:
    """Makes residual networks whose output is 0 at first; or the user's own, each tried once on data."""

    def residual(inputs: int, outputs: int) -> nn.Module:
        made = network(inputs, outputs, width, depth)
        for parameter in made.leave.parameters():
            nn.init.zeros_(parameter)
        return made

    def tried(inputs: int, outputs: int) -> nn.Module:
        assert own is not None
        sides = () if network is ResidualMLP else (4, 4)
        return checked(own(inputs, outputs), "network of a coupling", (inputs, *sides), (outputs, *sides))

    return residual if own is None else tried
