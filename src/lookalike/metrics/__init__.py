"""Pure functions on tensors, and the tables that name them: `METRICS` and `FEATURES`."""

from .features import FEATURES
from .likelihood import bits_per_dim
from .table import METRICS, MetricEntry

__all__ = ["FEATURES", "METRICS", "MetricEntry", "bits_per_dim"]
