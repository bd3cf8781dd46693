"""One side of a comparison of measures: a process that computes one from features on disk, its library's way.

    python -m benchmarks.references SIDE ROW FOLDER

FOLDER holds what is measured (`measures.lay_out`). It prints one line of JSON: the values, the processor seconds they
took once all was loaded, and the peak memory of the process in MB. Sides other than ours run in an environment of
their own.
Of each library only its formula is called, on features that are there; so torchvision, which two of them import for
what is not used here, is stood in for by an empty module, as its wheels must match torch's build exactly.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np

Values = dict[str, float]
Work = Callable[[], Values]


def features(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    return np.load(folder / "real.npy"), np.load(folder / "fake.npy")


def statistics(folder: Path) -> list[np.ndarray]:
    return [np.load(folder / f"{name}.npy") for name in ("mean", "covariance", "mean_fake", "covariance_fake")]


def ours_neighbours(folder: Path) -> Work:
    import torch

    from lookalike.metrics.neighbours import prdc

    real, fake = map(torch.from_numpy, features(folder))
    return lambda: {name: values.mean().item() for name, values in prdc(real, fake)._asdict().items()}


def prdc_neighbours(folder: Path) -> Work:
    from prdc import compute_prdc

    real, fake = features(folder)
    return lambda: {name: float(value) for name, value in compute_prdc(real, fake, 5).items()}


def ours_frechet(folder: Path) -> Work:
    import torch

    from lookalike.metrics.distances import frechet_distance
    from lookalike.metrics.moments import Moments

    mean, covariance, mean_fake, covariance_fake = map(torch.from_numpy, statistics(folder))
    real, fake = Moments(), Moments()
    real.n = fake.n = len(mean) + 1
    real.mean, real.scatter = mean, covariance * len(mean)
    fake.mean, fake.scatter = mean_fake, covariance_fake * len(mean)
    return lambda: {"frechet_distance": frechet_distance(real, fake).item()}


def pytorch_fid_frechet(folder: Path) -> Work:
    from pytorch_fid.fid_score import calculate_frechet_distance

    mean, covariance, mean_fake, covariance_fake = statistics(folder)
    return lambda: {"frechet_distance": float(calculate_frechet_distance(mean, covariance, mean_fake, covariance_fake))}


def torch_fidelity_frechet(folder: Path) -> Work:
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    mean, covariance, mean_fake, covariance_fake = statistics(folder)
    given = {"mu": mean, "sigma": covariance}, {"mu": mean_fake, "sigma": covariance_fake}
    return lambda: {"frechet_distance": float(*fid_statistics_to_metric(*given, verbose=False).values())}


def torchmetrics_frechet(folder: Path) -> Work:
    import torch
    from torchmetrics.image.fid import _compute_fid

    given = list(map(torch.from_numpy, statistics(folder)))
    return lambda: {"frechet_distance": _compute_fid(*given).item()}


def ours_kernel(folder: Path) -> Work:
    import torch

    from lookalike.metrics.distances import kernel_distance

    real, fake = map(torch.from_numpy, features(folder))
    return lambda: {"kernel_distance": kernel_distance(real, fake).value.item()}


def torch_fidelity_kernel(folder: Path) -> Work:
    from torch_fidelity.metric_kid import kernel_mmd

    real, fake = (x.astype(np.float64) for x in features(folder))
    return lambda: {"kernel_distance": float(kernel_mmd(real, fake, verbose=False))}


def torchmetrics_kernel(folder: Path) -> Work:
    import torch
    from torchmetrics.image.kid import poly_mmd

    real, fake = (torch.from_numpy(x).double() for x in features(folder))
    return lambda: {"kernel_distance": poly_mmd(real, fake).item()}


def ours_score(folder: Path) -> Work:
    import torch

    from lookalike.metrics.judged import inception_score

    logits = torch.from_numpy(np.load(folder / "logits.npy"))

    def work() -> Values:
        value, standard_error = inception_score(logits)
        return {"inception_score": value.item(), "spread": standard_error.item()}

    return work


def torch_fidelity_score(folder: Path) -> Work:
    import torch
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = torch.from_numpy(np.load(folder / "logits.npy")).double()

    def work() -> Values:
        mean, spread = isc_features_to_metric(logits, 10, False, 0).values()
        # Theirs is the deviation of the parts, as of a population; ours the standard error of their mean.
        return {"inception_score": float(mean), "spread": float(spread) / 3}

    return work


SIDES: dict[str, dict[str, Callable[[Path], Work]]] = {
    "neighbours": {"lookalike": ours_neighbours, "prdc": prdc_neighbours},
    "frechet": {
        "lookalike": ours_frechet,
        "pytorch-fid": pytorch_fid_frechet,
        "torch-fidelity": torch_fidelity_frechet,
        "torchmetrics": torchmetrics_frechet,
    },
    "kernel": {
        "lookalike": ours_kernel,
        "torch-fidelity": torch_fidelity_kernel,
        "torchmetrics": torchmetrics_kernel,
    },
    "score": {"lookalike": ours_score, "torch-fidelity": torch_fidelity_score},
}


def _peak() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # getrusage counts what the process that started this one held, too
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


class Absent(MetaPathFinder, Loader):
    """Finds torchvision, and nothing in it."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if fullname.partition(".")[0] == "torchvision" else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        stub: ModuleType = MagicMock(__path__=[], __version__="0.0")
        return stub

    def exec_module(self, module: ModuleType) -> None:
        pass


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("side")
    parser.add_argument("row", choices=SIDES)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    out, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    if given.side != "lookalike":
        sys.meta_path.insert(0, Absent())
    work = SIDES[given.row][given.side](given.folder)
    began, worked = time.perf_counter(), time.process_time()
    values = work()
    seconds, processor = time.perf_counter() - began, time.process_time() - worked
    print(json.dumps({"values": values, "seconds": seconds, "processor": processor, "peak_mb": _peak()}), file=out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
