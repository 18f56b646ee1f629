"""What defines a network: the fields that a model card stores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

INPUTS = ("coefficient", "coefficient+solution", "coefficient+solutions", "solution")
#: Decoded fields of each kind of output; see ``Architecture.output``.
OUTPUT_TERMS = {"residual": 1, "first-order": 2, "second-order": 5}


@dataclass(frozen=True)
class Architecture:
    """Everything that defines a network; stored in the model card.

    Attributes
    ----------
    encoder, decoder : registered names.
    encoder_options, decoder_options : their keyword arguments.
    inputs : "coefficient", "coefficient+solution" as in the paper, "coefficient+solutions" (U and those for the
        geometric and the harmonic mean of a on coarse cells), or for comparison "solution". With the first the
        decoded field is linear in U (line searches of the local solves are not), and one encoding serves many loads.
    output : what the J decoded fields o_j multiply. "residual": u = PU + max|U| o; "first-order": u = PU + H∂U·o, the
        form of first-order homogenisation; "second-order" adds H²∂²U. No term U o: constants must pass, and its error
        in the energy would grow with the domain (at 64 coarse cells it doubled the whole error of a network trained at
        16).
    upscaling : solve an effective problem with a learned coefficient (``kappa.py``) on a grid with this many cells per
        coarse cell, or fewer where the fine mesh has fewer; 0: take U as it is. Where that grid is the fine mesh, the
        coefficient itself is taken: the field is u_h, and the network has nothing to add.
    local_solves : the decoded field is taken on the edges of the coefficient's cells only and relaxed there, and inside
        the cells the field is exact for its values on the edges (``solvers.substructuring``); else it is the decoded
        field. How they and the coarse corrections are done is no property of a network: see ``Scheme``.
    """

    encoder: str = "unet"
    decoder: str = "basis"
    encoder_options: dict[str, Any] = field(default_factory=dict)
    decoder_options: dict[str, Any] = field(default_factory=dict)
    inputs: str = "coefficient"
    output: str = "second-order"
    upscaling: int = 4
    local_solves: bool = True

    @property
    def reads_solution(self) -> bool:
        """Whether coarse solutions are inputs, so that every load needs an encoding of its own."""
        return "solution" in self.inputs

    @property
    def solutions(self) -> int:
        """Number of coarse solutions that are inputs: none, U, or U and those for two means of a."""
        return (3 if self.inputs.endswith("solutions") else 1) if self.reads_solution else 0
