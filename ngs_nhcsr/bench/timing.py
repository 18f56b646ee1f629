"""Timings: medians of repeated calls, and the machine they were made on."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..solvers.kernels.workers import cores

R = TypeVar("R")
#: Libraries whose versions a report names.
LIBRARIES = ("ngsolve", "torch", "numpy", "scipy", "numba", "pyamg")


@dataclass(frozen=True)
class Timing:
    """What was measured of one thing on one problem.

    Attributes
    ----------
    section : table it belongs to.
    name : what was done.
    case : on which problem.
    seconds : median of the calls.
    least : the fastest call.
    calls : how many.
    details : other numbers by name: steps, unknowns per second, errors.
    """

    section: str
    name: str
    case: str
    seconds: float
    least: float
    calls: int
    details: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Convert for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Clocked:
    """Seconds of the calls of a function, and its last result."""

    result: Any
    times: list[float]

    def timing(self, section: str, name: str, case: str, **details: float) -> Timing:
        """Make a row of a table.

        Parameters
        ----------
        section : table.
        name : what was done.
        case : on which problem.
        **details : other numbers.

        Returns
        -------
        Timing
        """
        return Timing(section, name, case, float(np.median(self.times)), min(self.times), len(self.times), details)


def clocked(run: Callable[[], Any], repeats: int, budget: float = 20.0, *, warm: bool = True) -> Clocked:
    """Time a function.

    Parameters
    ----------
    run : function without arguments.
    repeats : number of calls, fewer where they would take longer than
    budget : in seconds.
    warm : call it once before, uncounted.

    Returns
    -------
    Clocked
    """
    if warm:
        run()
    times: list[float] = []
    result = None
    while len(times) < repeats and (not times or sum(times) < budget):
        begin = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - begin)
    return Clocked(result, times)


def bandwidth(megabytes: int = 256, repeats: int = 5) -> float:
    """Measure the memory bandwidth of one thread by passes a = s b.

    Parameters
    ----------
    megabytes : size of each of the two arrays, so large that neither stays in the cache.
    repeats : the fastest of so many passes counts.

    Returns
    -------
    GB/s, the array that is written counted twice (it is read first).
    """
    n = megabytes * 2**20 // 8
    a, b = np.empty(n), np.ones(n)
    best = np.inf
    for _ in range(repeats):
        begin = time.perf_counter()
        np.multiply(b, 3.0, out=a)
        best = min(best, time.perf_counter() - begin)
    return 3 * 8 * n / best / 1e9


def machine() -> dict[str, Any]:
    """Describe the machine: processor, cores, load, memory bandwidth, versions of the libraries."""
    libraries = {}
    for name in LIBRARIES:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": cores(),
        "load before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "bandwidth of one thread, GB/s": round(bandwidth(64, 3), 1),
        "python": platform.python_version(),
        **libraries,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
