"""Scenes of NGSolve's viewer as pages that need neither server nor network.

NGSolve's own widgets load the viewer from a content delivery network whenever they are looked at; here it is inside, as
webgui_jupyter_widgets brings it, and everything is compressed: a tenth of the bytes.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import DependencyMissing
from .backend import current_cell

#: The page; {viewer} and {data} are base64 of gzip.
PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>NGSolve</title>
<style>html, body {{ margin: 0; height: 100%; overflow: hidden; background: white }} canvas {{ cursor: grab }}</style>
</head><body><script>
async function unpacked(text) {{
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}}
async function start() {{
  (0, eval)(await unpacked("{viewer}"));
  new webgui.Scene().init(document.body, JSON.parse(await unpacked("{data}")), {{preserveDrawingBuffer: false}});
}}
start();
</script></body></html>
"""


def import_viewer() -> str:
    """Import the code of the viewer.

    Returns
    -------
    str
        JavaScript that defines ``webgui``.

    Raises
    ------
    DependencyMissing
        Without webgui_jupyter_widgets.
    """
    try:
        from webgui_jupyter_widgets.js import code
    except ImportError as error:
        raise DependencyMissing("draw needs webgui_jupyter_widgets: pip install 'ngs-nhcsr[notebook]'.") from error
    return code


class Scene:
    """A drawn field: pages and frames of HTML with NGSolve's viewer.

    Attributes
    ----------
    data : what the viewer gets, as ``GetData`` of NGSolve's scenes returns it.
    width : of the frame in a notebook, a length of CSS.
    height : of the frame, likewise.
    """

    def __init__(self, data: dict[str, Any], width: str, height: str):
        self.data, self.width, self.height = data, width, height
        self._page = PAGE.format(viewer=_viewer(), data=_packed(json.dumps(data)))
        self._drawn_in: int | None = None

    def save(self, path: str | Path) -> None:
        """Write a page, which a browser shows without a network; an existing file is replaced.

        Parameters
        ----------
        path : of the .html file.
        """
        Path(path).write_text(self._page, encoding="utf-8")

    def show(self) -> None:
        """Show it in the notebook whose kernel runs this."""
        from IPython.display import display

        display({"text/plain": "a scene of NGSolve's viewer", "text/html": self._repr_html_()}, raw=True)

    def _repr_html_(self) -> str:
        """Return a frame to stand in another page."""
        return (
            f'<iframe title="a field in NGSolve\'s viewer, to turn and to zoom" loading="lazy" '
            f'style="width: {self.width}; height: {self.height}; border: 1px solid lightgray" '
            f'srcdoc="{html.escape(self._page)}"></iframe>'
        )

    def _ipython_display_(self) -> None:
        """Show it where a cell ends with it, but not twice where the cell ends with the call that drew it."""
        if self._drawn_in is None or self._drawn_in != current_cell():
            self.show()

    def show_now(self) -> None:
        """Show it before the cell has ended, as NGSolve does."""
        self.show()
        self._drawn_in = current_cell()


@lru_cache(maxsize=1)
def _viewer() -> str:
    return _packed(import_viewer())


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()
