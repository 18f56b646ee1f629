"""Figures of Matplotlib that notebooks show without pyplot."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A figure that a notebook shows below a cell that ends with it."""

    def _repr_png_(self) -> bytes:
        """Return the picture; IPython asks for it by this name."""
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()
