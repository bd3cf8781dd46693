"""The machine the figures are of, and where others are: pythae in an environment of its own, torchgan beside ours."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import torch

HOME = Path(__file__).parent / ".pythae"
VERSION = "0.1.2"
TORCHGAN = Path(__file__).parent / ".torchgan"
TORCHGAN_VERSION = "0.1.0"


def machine(device: str) -> dict[str, str | int]:
    """What the figures depend on: processor, cores, GPU, versions."""
    named = re.search(r"model name\s*: (.*)", _read("/proc/cpuinfo"))
    return {
        "processor": named[1].strip() if named else platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "gpu": torch.cuda.get_device_name() if device.startswith("cuda") else "",
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pythae": VERSION,
        "torchgan": TORCHGAN_VERSION,
    }


def slug(here: dict[str, str | int]) -> str:
    """A file name of a machine: amd-epyc-2-cores."""
    words = f"{here['gpu'] or here['processor']} {here['cores']} cores"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def find_pythae(python: str | None) -> str | None:
    """The python of pythae's environment, made on the first call; None, and a sentence, where it cannot be."""
    python = python or os.environ.get("LOOKALIKE_PYTHAE") or str(HOME / "bin" / "python")
    if not Path(python).exists():
        print(f"making an environment for pythae {VERSION} in {HOME} (once)", file=sys.stderr, flush=True)
        wanted = [f"torch=={torch.__version__.partition('+')[0]}", f"pythae=={VERSION}"]
        try:
            subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True)
            subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"skipping pythae: its environment could not be made ({error})", file=sys.stderr)
            return None
    if subprocess.run([python, "-c", "import pythae.trainers"], capture_output=True, check=False).returncode:
        print(f"skipping pythae: {python} cannot import it", file=sys.stderr)
        return None
    return python


def find_torchgan() -> str | None:
    """The folder torchgan lies in, fetched on the first call; None, and a sentence, where it cannot be."""
    if not (TORCHGAN / "torchgan").exists():
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(TORCHGAN)]
        try:
            subprocess.run([*command, f"torchgan=={TORCHGAN_VERSION}"], check=True)
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"skipping torchgan: it could not be fetched ({error})", file=sys.stderr)
            return None
    return str(TORCHGAN)


def _read(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""
