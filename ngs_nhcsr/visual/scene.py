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
from typing import Any

from ..errors import DependencyMissing

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


def scene_page(data: dict[str, Any]) -> str:
    """Write a scene as a page of HTML.

    Parameters
    ----------
    data : of the scene, as its ``GetData`` returns it.

    Returns
    -------
    str
        The page, with the viewer.

    Raises
    ------
    DependencyMissing
        Without webgui_jupyter_widgets.
    """
    return PAGE.format(viewer=_viewer(), data=_packed(json.dumps(data)))


def scene_frame(data: dict[str, Any], width: str, height: str) -> str:
    """Write a scene as a frame to stand in another page, that of a notebook or of a documentation.

    Parameters
    ----------
    data : of the scene.
    width : of the frame, a length of CSS.
    height : of the frame.

    Returns
    -------
    str
        An element of HTML.

    Raises
    ------
    DependencyMissing
        Without webgui_jupyter_widgets.
    """
    page = html.escape(scene_page(data))
    return (
        f'<iframe title="a field in NGSolve\'s viewer, to turn and to zoom" loading="lazy" '
        f'style="width: {width}; height: {height}; border: 1px solid lightgray" srcdoc="{page}"></iframe>'
    )


@lru_cache(maxsize=1)
def _viewer() -> str:
    return _packed(import_viewer())


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()
