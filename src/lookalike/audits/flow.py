"""Flows: the way back is the way back, and log |det dz/dv| is that of the Jacobian autograd finds."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..models.tractable.flow.flow import Flow
from .base import Finding, Subject, UnfitError, largest

MOST = 1024
"""Numbers in an item whose whole Jacobian is computed."""


def inverse(subject: Subject) -> Finding:
    """f^-1(f(v)) = v, relative to the size of v."""
    model, v, context = _flow(subject)
    with torch.no_grad():
        back = model.bijection.inverse(model.bijection(v, context)[0], context)
    return Finding(largest((back - v) / (1 + v.abs())), 1e-6, f"{len(v)} items there and back")


def log_det(subject: Subject) -> Finding:
    """log |det dz/dv| against the determinant of the whole Jacobian, per number."""
    model, v, context = _flow(subject)
    D = v[0].numel()
    if D > MOST:
        raise UnfitError(f"an item has {D} numbers, and the Jacobian is computed of up to {MOST}")
    v, context = v[:2], None if context is None else context[:2]
    with torch.no_grad():
        said = model.bijection(v, context)[1]
    jacobians = [_jacobian(model, v[n], None if context is None else context[n]) for n in range(len(v))]
    true = torch.stack([torch.linalg.slogdet(jacobian).logabsdet for jacobian in jacobians])
    return Finding(largest((said - true) / D), 1e-8, f"nats a number, against autograd, D = {D}")


def _jacobian(model: Flow, v: Tensor, context: Tensor | None, at_once: int = 64) -> Tensor:
    """dz/dv of one item, shape (D, D): an item of a batch for each row of it."""
    D, parts = v.numel(), []
    for start in range(0, D, at_once):
        chosen = torch.arange(start, min(D, start + at_once))
        batch = v.expand(len(chosen), *v.shape).clone().requires_grad_()
        z = model.bijection(batch, None if context is None else context.expand(len(chosen), -1))[0].flatten(1)
        parts.append(torch.autograd.grad(z[torch.arange(len(chosen)), chosen].sum(), batch)[0].flatten(1))
    return torch.cat(parts)


def _flow(subject: Subject) -> tuple[Flow, Tensor, Tensor | None]:
    """A flow in float64, v of real items, with noise about the middle of their bins, and labels as one-hot."""
    model = subject.double
    if not isinstance(model, Flow):
        raise UnfitError(f"{type(model).__name__} is no flow")
    draw = torch.Generator().manual_seed(subject.seed)
    u = 0.3 + 0.4 * torch.rand(len(subject.x), *model.dequantise.shape, generator=draw, dtype=torch.float64)
    context = None
    if model.conditional and subject.y is not None:
        context = F.one_hot(subject.y, len(model.spec.classes)).double()
    with torch.no_grad():
        return model, model.dequantise(subject.x.double(), u)[0], context
