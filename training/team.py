"""Data-parallel training: one process per device, started by ``torchrun``, every one with its slice of the batch.

Gradients are averaged by hand, a few lines that need no wrapper around the network: n processes take the step that one
would take on the whole batch, up to rounding.
"""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Team:
    """The processes of a run.

    Attributes
    ----------
    rank, size : number of this process, and how many there are.
    """

    rank: int = 0
    size: int = 1

    @staticmethod
    def from_environment(device: torch.device) -> Team:
        """Join the other processes if ``torchrun`` started this one, by NCCL on CUDA, gloo on CPUs; else stay alone."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return Team()
        if not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
            # Not left, its threads may still run when the process ends, which is then aborted now and then.
            atexit.register(_leave)
        return Team(dist.get_rank(), dist.get_world_size())

    @property
    def leads(self) -> bool:
        """True for the one process that validates and writes files."""
        return self.rank == 0

    def share(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Take the part of a batch that is this process's.

        Parameters
        ----------
        batch : tensors with the same leading dimension.

        Returns
        -------
        Every ``size``-th entry of each.

        Raises
        ------
        ValueError
            If the batch cannot be divided equally.
        """
        if len(batch[0]) % self.size:
            raise ValueError(
                f"a batch of {len(batch[0])} problems cannot be shared by {self.size} processes; set batch="
            )
        return tuple(v[self.rank :: self.size] for v in batch)

    def average_gradients(self, network: nn.Module) -> None:
        """Replace all gradients by their mean over the team."""
        if self.size == 1:
            return
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        for g, mean in zip(gradients, (flat / self.size).split([g.numel() for g in gradients]), strict=True):
            g.copy_(mean.view_as(g))

    def decides(self, flag: bool, device: torch.device) -> bool:
        """Agree on a flag: true for all processes if it is true for one of them; ``device`` is that of the network."""
        if self.size == 1:
            return flag
        wish = torch.tensor([float(flag)], device=device)
        dist.all_reduce(wish, dist.ReduceOp.MAX)
        return bool(wish.item())


def _leave() -> None:
    """End the group of processes, unless somebody has."""
    if dist.is_initialized():
        dist.destroy_process_group()
