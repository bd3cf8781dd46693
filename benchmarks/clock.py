"""The clock of a side: it lets a training run for so many steps when it is told to, and says what they took.

A side is a process that trains without end and calls `Clock.step` after each step. The clock stops it there
and waits for a line on stdin, how many steps to run next; then it answers with one line of JSON. So sides
that were started and warmed up once can take turns, seconds apart, on a machine whose speed drifts.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import TextIO

import torch


class Clock:
    """Answers on `out`: seconds and processor seconds a step, and the peak memory of the process in MB."""

    def __init__(self, device: torch.device, out: TextIO) -> None:
        self.device = device
        self.out = out
        self.left = self.steps = 0
        self.began = self.worked = 0.0

    def step(self) -> None:
        """Call after each step; returns when the next one may begin."""
        self.left -= 1
        if self.left > 0:
            return
        self._settle()
        took, worked = time.perf_counter() - self.began, time.process_time() - self.worked
        answer = {"seconds": took / self.steps, "processor": worked / self.steps} if self.steps else {}
        print(json.dumps({**answer, "peak_mb": self._peak()}), file=self.out, flush=True)
        asked = sys.stdin.readline()
        if not asked:
            raise SystemExit(0)
        self.steps = self.left = int(asked)
        self.began, self.worked = time.perf_counter(), time.process_time()

    def _settle(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def _peak(self) -> float:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated() / 2**20
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return kilobytes / (2**20 if sys.platform == "darwin" else 2**10)
