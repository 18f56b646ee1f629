"""Runs of a table's rows: what their folders are called, and the networks that lie in them."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file

from ..networks.corrector import CorrectorNetwork
from .config import from_json
from .state import read_config, read_progress


def slug(name: str) -> str:
    """Turn the name of a row into a file name.

    Parameters
    ----------
    name : any text.

    Returns
    -------
    Lower case letters, digits and dashes.

    Examples
    --------
    >>> slug("[loss] L1 + 0.1 SCS (paper)")
    'loss--l1---0-1-scs--paper'
    """
    return "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-")


def steps_done(run: Path) -> int:
    """Read the number of steps of a run's checkpoint; 0 without one."""
    last = run / "last.safetensors"
    return int(read_progress(last)["step"]) if last.exists() and (run / "best.safetensors").exists() else 0


def trained_network(run: Path) -> CorrectorNetwork:
    """Load the network of a run with its best weights, in evaluation mode."""
    network = CorrectorNetwork(from_json(read_config(run / "last.safetensors")).architecture)
    network.load_state_dict(load_file(run / "best.safetensors"))
    return network.eval()
