"""Training problems in memory: from shards on disk, or made on the training device while training runs."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..networks.symmetry import transform
from .config import DataSet
from .problems import Problems, in_single, joined, make_problems
from .shards import generate, read_shard


class Pool:
    """Problems of one data set; batches are a function of the generator alone.

    Parameters
    ----------
    data : the data set.
    problems : all of them.
    """

    def __init__(self, data: DataSet, problems: Problems):
        self._data, self.recipe, self.problems = data, data.recipe, problems

    @staticmethod
    def from_shards(data: DataSet, folder: Path, workers: int, progress: bool) -> Pool:
        """Read the shards of a data set; missing ones are made first.

        Parameters
        ----------
        data : the data set.
        folder : of the shards.
        workers : processes that make missing ones.
        progress : show a bar while they do.

        Returns
        -------
        Pool in main memory.
        """
        paths = generate(
            folder, data.recipe, data.count, first_seed=data.first_seed, workers=workers, progress=progress
        )
        return Pool(data, joined([read_shard(p, data.recipe) for p in paths]))

    @property
    def share(self) -> float:
        """How often a step draws from this pool, relative to others; by default how much there is to learn from it."""
        return self._data.share or float(self.problems.A.numel())

    def advance(self, step: int) -> None:
        """Bring the pool to the state it has at a step; nothing to do for a fixed one."""

    def batch(self, size: int, scale: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Draw a batch: random problems, all turned by one random symmetry of the square.

        Parameters
        ----------
        size : number of problems M.
        scale : fine cells per coarse cell.
        rng : draws problems and symmetry.

        Returns
        -------
        U (M, K, N+1, N+1), A (M, m, m), F (M, K, L+1, L+1) and target (M, K, n+1, n+1), as in ``problems.Problems``.
        """
        p = self.problems
        index = torch.randint(len(p), (size,), generator=rng).to(p.A.device)
        k = int(torch.randint(8, (1,), generator=rng))
        U, A, F, target = (transform(v[index], k) for v in (p.U, p.A, p.F, p.targets[scale]))
        return U, A, F, target


class LivePool(Pool):
    """Problems made on the device while training runs: every ``refresh`` steps a new chunk replaces the oldest one.

    The state at a step is a function of the step alone, so a resumed run sees the same problems.

    Parameters
    ----------
    data : data set with ``refresh`` > 0.
    device : where problems are made, and lie.
    step : step of the run at which it begins.

    Raises
    ------
    ValueError
        If the number of problems is no multiple of the chunk.
    """

    def __init__(self, data: DataSet, device: str | torch.device, step: int = 0):
        if data.count % data.chunk:
            raise ValueError(f"count={data.count} must be a multiple of chunk={data.chunk}")
        self._data, self._device = data, device
        self._slots = data.count // data.chunk
        self._newest = self._slots - 1 + step // data.refresh
        order = range(self._newest - self._slots + 1, self._newest + 1)
        super().__init__(data, joined([self._make(k) for k in sorted(order, key=lambda k: k % self._slots)]))

    def _make(self, chunk: int) -> Problems:
        first = self._data.first_seed + chunk * self._data.chunk
        return in_single(make_problems(self._data.recipe, range(first, first + self._data.chunk), self._device))

    def advance(self, step: int) -> None:
        """Make the chunks that are due at a step of the run."""
        while self._newest < self._slots - 1 + step // self._data.refresh:
            self._newest += 1
            new, size = self._make(self._newest), self._data.chunk
            at = slice((self._newest % self._slots) * size, (self._newest % self._slots + 1) * size)
            self.problems.A[at], self.problems.U[at], self.problems.F[at] = new.A, new.U, new.F
            for scale, target in new.targets.items():
                self.problems.targets[scale][at] = target


def make_pool(
    data: DataSet, folder: Path, device: str | torch.device, step: int, workers: int = 1, progress: bool = False
) -> Pool:
    """Make the pool that a data set asks for, in its state at a step.

    Parameters
    ----------
    data : the data set.
    folder : of shards, for data sets without ``refresh``.
    device : where problems with ``refresh`` are made.
    step : step of the run.
    workers : processes that make missing shards.
    progress : show a bar while they do.

    Returns
    -------
    Pool
    """
    if data.refresh:
        return LivePool(data, device, step)
    return Pool.from_shards(data, folder, workers, progress)
