"""MADE: every conditional of a row or a small image in one pass of one masked perceptron.

    log p(x) = sum_d log p(x_d | x_<d),      params of p(x_d | x_<d) = network(x)_d,  masked to see x_<d

    points, tables    a mixture of Gaussians for a number, a categorical for a category; field by field, the
                      gate of a number that may be missing before the number itself
    images            Bernoulli or categorical, pixel by pixel

What comes before what is an ordering o of the columns or pixels, the data's own or several at random. Of K orderings
training takes one after the other, each with masks of its own over the same weights, and the model is their mixture:

    p(x) = 1/K sum_k p(x | o_k),     a draw: an ordering, then x in that order

Exact, and a pass for each ordering to score. Drawing goes entry by entry, each unit computed once, as soon as all it
sees is drawn: in all about one pass.

Germain et al. (2015), arXiv:1502.03509; mixtures as in Uria et al. (2013), "RNADE", arXiv:1306.0186.
Differs from the paper: the average over orderings is of probabilities, not of conditionals, and so a distribution.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....errors import UserError
from ....metrics.likelihood import bits_per_dim
from ....nn.doors import Field, missing
from ....nn.likelihoods import Bernoulli, Categorical, Likelihood
from ....nn.masked import MaskedMLP, MaskedSteps
from ....nn.own import checked
from ....nn.rows import Columns
from ....options import Range
from ....spec import Spec
from ...base import Completer, Explicit, Turn, seeded
from .raster import labels_of

MOST_OUTPUTS = 2**16
"""Of an image's network: 28x28 pixels of 64 levels, or 16x16 of bytes."""


class MADE(Explicit, Completer):
    """Masked autoregressive network for points, tables and images of few levels.

    Arguments:
        width: of the network.
        depth: residual blocks, two layers each.
        components: Gaussians in the mixture of a number.
        orderings: what comes before what: 1 for the data's own order, more for that and others at random, which
            training takes in turn and the model averages.
        conditional: whether the network takes the label, so that samples can be asked for by class.
        network: instead of those, your own: (B, D) -> (B, outputs), in which what an entry's distribution is
            made of depends on the entries before it only; see `likelihood.width`. Where it is conditional the labels
            come first, one-hot.
    """

    exact = True
    bf16 = False  # its three digits are too few for the mean of a narrow mode

    def __init__(
        self,
        spec: Spec,
        *,
        width: Annotated[int, Range(1)] = 128,
        depth: Annotated[int, Range(0)] = 2,
        components: Annotated[int, Range(1)] = 16,
        orderings: Annotated[int, Range(1, 64)] = 1,
        conditional: bool = False,
        network: nn.Module | None = None,
    ) -> None:
        super().__init__(spec)
        self.likelihood: Likelihood
        self.network: nn.Module
        self.conditional = conditional
        self.classes = labels_of(spec, conditional, "made")
        self.fields: tuple[Field, ...]
        if spec.kind == "images":
            self.likelihood = _of_pixels(spec)
            self.fields = tuple(Field(d, 1, d) for d in range(spec.dims))
            outputs_of = torch.arange(spec.dims).repeat(self.likelihood.width // spec.shape[0])
        else:
            self.likelihood = Columns(spec, components)
            self.fields = self.door.fields
            outputs_of = torch.arange(len(self.fields)).repeat_interleave(torch.tensor(self.likelihood.widths))
        inputs_of = torch.arange(len(self.fields)).repeat_interleave(torch.tensor([f.width for f in self.fields]))
        self.outputs_of = outputs_of  # which field
        self.orders = [self._ordered(k) for k in range(orderings)]
        if network is not None:
            if orderings > 1:
                raise UserError("a network of your own has one ordering: leave --orderings at 1.")
            takes = (self.classes + len(inputs_of),)
            self.network = checked(network, "network", takes, (len(outputs_of),))
            return
        degrees = torch.tensor(self.orders).argsort(1) + 1  # of each field; labels, which all see, have degree 0
        labels = torch.zeros(orderings, self.classes, dtype=torch.long)
        self.network = masked = MaskedMLP(
            torch.cat([labels, degrees[:, inputs_of]], 1), degrees[:, outputs_of], width, depth
        )
        if isinstance(self.likelihood, Columns):
            with torch.no_grad():
                masked.leave.bias.copy_(self.likelihood.spread())

    def params(self, h: Tensor, y: Tensor | None = None, ordering: int = 0) -> Tensor:
        """What the likelihood takes, from h as the door gives it; an entry's come from those before it."""
        h = torch.cat([self.one_hot(y, h), h.flatten(1)], 1)
        params: Tensor = self.network(h, ordering) if isinstance(self.network, MaskedMLP) else self.network(h)
        return params.unflatten(1, (-1, *self.spec.shape[1:])) if self.spec.kind == "images" else params

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        of_each = torch.stack([self.log_prob_in(x, y, k) for k in range(len(self.orders))])
        return of_each.logsumexp(0) - math.log(len(self.orders))

    def log_prob_in(self, x: Tensor, y: Tensor | None, ordering: int) -> Tensor:
        """log p(x | ordering), shape (B,)."""
        return self.likelihood.log_prob(x, self.params(self.door.enter(x), y, ordering))

    def turns(self, x: Tensor, y: Tensor | None = None, step: int = 0) -> Iterator[Turn]:
        # One ordering after the other: a bound on the mixture, and as the paper trains.
        loss = bits_per_dim(self.log_prob_in(x, y, step % len(self.orders)), self.spec.dims).mean()
        yield Turn("model", loss, {"bits_per_dim": loss})

    def sample(self, n: int, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0) -> Tensor:
        x = torch.zeros(n, *self.spec.shape, dtype=self.door.leave(self._blank(1)).dtype, device=self.device)
        return self.complete(x, torch.zeros_like(x[:1], dtype=torch.bool), y, seed=seed, temperature=temperature)

    def complete(
        self, x: Tensor, mask: Tensor, y: Tensor | None = None, *, seed: int | None = None, temperature: float = 1.0
    ) -> Tensor:
        """As `Completer.complete`, each entry given those before it in an ordering drawn for each item."""
        with seeded(seed, self.device), torch.inference_mode():
            mask = mask.expand_as(x)
            h = self.door.enter(torch.where(mask, x, self.door.leave(self._blank(len(x))).to(x.dtype))).flatten(1)
            known = mask.flatten(1)[:, [field.column for field in self.fields for _ in range(field.width)]]
            # At temperature 0 nothing is left to chance: the data's own ordering.
            several = len(self.orders) if temperature else 1
            chosen = torch.randint(several, (len(x),), device=x.device)
            u = torch.rand(h.shape, dtype=torch.float64, device=x.device)
            for k in range(len(self.orders)):
                items = (chosen == k).nonzero()[:, 0]
                of_items = None if y is None else y.to(x.device)[items]
                h[items] = self._drawn(h[items], known[items], u[items], of_items, k, temperature)
            drawn = torch.where(mask, x, self.door.leave(h.view(len(h), *self.door.shape)).to(x.dtype))
        return drawn.clone()  # a tensor that autograd may use, as those of inference mode may not

    def _drawn(self, h: Tensor, known: Tensor, u: Tensor, y: Tensor | None, k: int, temperature: float) -> Tensor:
        """h, shape (n, D), with what is not known drawn in the order of ordering k."""
        steps = MaskedSteps(self.network, len(h), k) if isinstance(self.network, MaskedMLP) else Recomputed(self, h, y)
        steps.tell(0, self.one_hot(y, h))
        for degree, d in enumerate(self.orders[k], start=1):
            field = self.fields[d]
            drawn = self._entry(field, steps.outputs(degree), h, u[:, field.start], temperature)
            drawn = torch.where(known[:, field.entries], h[:, field.entries], drawn)
            h[:, field.entries] = drawn
            steps.tell(degree, drawn)
        return h

    def _entry(self, field: Field, params: Tensor, h: Tensor, u: Tensor, temperature: float) -> Tensor:
        """A draw of one field of h from its own params, shape (n, field.width)."""
        if isinstance(self.likelihood, Bernoulli | Categorical):
            k = self.likelihood.quantile(params, params, 0, u, temperature)
            return self.door.enter(k[:, None].to(h.dtype) / (self.spec.levels - 1))
        assert isinstance(self.likelihood, Columns)
        drawn = self.likelihood.sample_field(field, params, temperature)
        # As the door has it: 0 where the number is missing.
        return drawn if field.gate < 0 else drawn.masked_fill(missing(h, field)[:, None], 0.0)

    def _ordered(self, k: int) -> list[int]:
        """The fields in ordering k: the data's own first, then columns shuffled, the gate of a number before it."""
        columns = sorted({field.column for field in self.fields})
        if k:  # Python's own generator, whose shuffles stay as they are: orderings are not saved but made again
            random.Random(k).shuffle(columns)
        place = {column: i for i, column in enumerate(columns)}
        return sorted(range(len(self.fields)), key=lambda d: (place[self.fields[d].column], d))

    def _blank(self, n: int) -> Tensor:
        """h of n items of which nothing is known: 0 is the mean, and no gap."""
        return torch.zeros(n, *self.door.shape, dtype=self.door.precision.dtype, device=self.device)

    def one_hot(self, y: Tensor | None, h: Tensor) -> Tensor:
        """Labels, shape (B, classes); (B, 0) of a model without."""
        y = self.labels(y)
        return h.new_zeros(len(h), 0) if y is None else F.one_hot(y, self.classes).to(h.dtype)


class Recomputed:
    """What `MaskedSteps` does, by a pass of the whole network for each entry: for networks of the user's own."""

    def __init__(self, model: MADE, h: Tensor, y: Tensor | None, ordering: int = 0) -> None:
        self.model, self.y, self.ordering = model, y, ordering
        self.h = torch.zeros_like(h)

    def outputs(self, degree: int) -> Tensor:
        d = self.model.orders[self.ordering][degree - 1]
        params = self.model.params(self.h, self.y, self.ordering).flatten(1)
        return params[:, self.model.outputs_of == d]

    def tell(self, degree: int, x: Tensor) -> None:
        if degree:
            self.h[:, self.model.fields[self.model.orders[self.ordering][degree - 1]].entries] = x


def _of_pixels(spec: Spec) -> Bernoulli | Categorical:
    if spec.dims * spec.levels > MOST_OUTPUTS:
        raise UserError(
            f"made has an output for each level of each pixel, {MOST_OUTPUTS} at most, but these images have "
            f"{spec.dims * spec.levels}. Make them binary with --binarize dynamic, or use pixelcnn."
        )
    return Bernoulli(spec) if spec.levels == 2 else Categorical(spec)
