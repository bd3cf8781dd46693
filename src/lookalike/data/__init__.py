"""What is learnt from: `open_data` gives `Data`, three `Split`s and what is known of them."""

from .base import Data, Split
from .opening import DATASETS, open_data

__all__ = ["DATASETS", "Data", "Split", "open_data"]
