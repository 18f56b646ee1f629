"""What a run leaves behind now and then: errors on validation problems, the best weights, and a checkpoint."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import torch

from ..networks.corrector import CorrectorNetwork
from . import state as checkpoint
from .config import TrainConfig, to_json
from .validation import VALIDATION_SEEDS, Case, network_errors

log = logging.getLogger(__name__)


class Keeper:
    """Validates the running mean of the weights and writes files; in a team, only the leader's does anything.

    Parameters
    ----------
    config : kept in every checkpoint; ``config.validation`` is the scheme of the fields that are validated.
    folder : receives ``last.safetensors``, ``best.safetensors`` and ``log.csv``.
    cases : validation problems; without any, the last weights count as the best.
    device : where the network is validated.
    active : whether this process leads.
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        cases: tuple[Case, ...],
        device: torch.device | str = "cpu",
        active: bool = True,
    ):
        self.config, self.folder, self.active = config, folder, active
        self.last, self.best = folder / "last.safetensors", folder / "best.safetensors"
        self.problems = [(c, c.problems(VALIDATION_SEEDS)) for c in cases] if active else []
        self.average = CorrectorNetwork(config.architecture).to(device)

    def keep(self, state: checkpoint.State, loss: float) -> str:
        """Validate, add a row to the log, and write the state and, if they are the best so far, the averaged weights.

        Parameters
        ----------
        state : of the run; its ``best`` is updated.
        loss : smoothed loss, for the log.

        Returns
        -------
        A few words on the result, for a progress bar.
        """
        if not self.active:
            return ""
        self.average.load_state_dict(state.average)
        medians: dict[str, float] = {}
        for case, problems in self.problems:
            errors = network_errors(self.average, problems, case.scale, scheme=self.config.validation)
            medians |= {f"{case.name} {norm}": float(errors[norm].median()) for norm in ("energy", "L2")}
        # The median energy error of the first case decides which weights are best.
        score = next(iter(medians.values()), float("nan"))
        log.info("step %d: %s", state.step, ", ".join(f"{k} {v:.4f}" for k, v in medians.items()))
        row = {"step": state.step, "minutes": round(state.seconds / 60, 2), "loss": round(loss, 5), **medians}
        append_row(self.folder / "log.csv", row)
        if not self.problems or score < state.best:
            state.best = score
            checkpoint.write_tensors(self.best, state.average)
        checkpoint.save(self.last, state, to_json(self.config))
        return f"loss {loss:.3f}, energy {score:.3f}"


def append_row(path: Path, row: dict[str, float]) -> None:
    """Add a row to a CSV file; the first one brings the names of the columns."""
    new = not path.exists()
    with open(path, "a", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
