"""Scenes as one .html file each, with the viewer of vtk.js inside: neither server nor network take part."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DependencyMissing
from .backend import import_pyvista
from .panels import LARGE


def import_serializers() -> Any:
    """Import the serializers of trame-vtk.

    Returns
    -------
    module
        ``trame_vtk.modules.vtk.serializers``.

    Raises
    ------
    DependencyMissing
        If trame-vtk is not installed.
    """
    import_pyvista()
    try:
        from trame_vtk.modules.vtk import serializers
    except ImportError as error:
        raise DependencyMissing(".html files need trame-vtk: pip install 'ngs-nhcsr[html]'.") from error
    return serializers


def save_html(plotter: Any, path: Path) -> None:
    """Write what was drawn as a page to turn and to zoom in.

    Parameters
    ----------
    plotter : with the drawing.
    path : of the file.

    Raises
    ------
    DependencyMissing
        If trame-vtk is not installed.
    """
    serializers = import_serializers()
    from trame_vtk.tools.vtksz2html import write_html

    serializers.initialize_serializers()
    # Light and colour tables of the scene, not the viewer's own: maps are drawn without light.
    serializers.configure_serializer(encode_lut=False, skip_light=False)
    plotter.render()
    texts = [(renderer, renderer.AddActor(actor) or actor) for renderer, actor in _text_actors(plotter)]
    bars = [prop for renderer in plotter.renderers for prop in renderer.GetViewProps() if prop.IsA("vtkScalarBarActor")]
    for bar in bars:
        bar.SetTitle(" ")  # else "null" stands there
    context, window = serializers.SynchronizationContext(), plotter.render_window
    scene = serializers.serialize(None, window, serializers.reference_id(window), context, 1)
    camera = plotter.renderer.camera
    scene["extra"] = {
        "vtkRefId": serializers.reference_id(window),
        "centerOfRotation": camera.GetFocalPoint(),
        "camera": serializers.reference_id(camera),
    }
    arrays = {
        entry["hash"]: {**entry, "content": context.get_cached_data_array(entry["hash"], False)}
        for entry in serializers.extract_array_hash(scene)
    }
    for renderer, actor in texts:
        renderer.RemoveActor(actor)
    for bar in bars:
        bar.SetTitle(None)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.json", json.dumps({"hashes": arrays, "scene": scene}))
    page = io.StringIO()
    write_html(packed.getvalue(), page)
    # The viewer empties the body; a title in the style sheet stays.
    title = json.dumps("; ".join(_titles(plotter)), ensure_ascii=False).replace("<", "\\3c ")
    style = f"body::before{{content:{title};position:fixed;top:8px;left:16px;z-index:1000;font:15px sans-serif}}"
    before, head, after = page.getvalue().partition("<head>")
    path.write_text(f'{before}{head}<meta charset="utf-8"><style>{style}</style>{after}', encoding="utf-8")


def _text_actors(plotter: Any) -> Iterator[tuple[Any, Any]]:
    """Texts of the scene as flat bodies in it, with their renderers: vtk.js knows no labels of VTK."""
    pv = import_pyvista()
    for renderer in plotter.renderers:
        camera = renderer.camera
        height = plotter.window_size[1] * (renderer.GetViewport()[3] - renderer.GetViewport()[1])
        unit = 2 * camera.parallel_scale / height  # length of a pixel
        towards = np.array(camera.position) - np.array(camera.focal_point)
        towards /= np.linalg.norm(towards)
        right = np.cross(camera.up, towards)
        right /= np.linalg.norm(right)
        axes = np.stack([right, np.cross(towards, right), towards])
        for prop in list(renderer.actors.values()) + list(renderer.GetViewProps()):
            if not prop.IsA("vtkBillboardTextActor3D"):
                continue
            style, offset = prop.GetTextProperty(), np.array([*prop.GetDisplayOffset(), 0.0])
            # Letters of vtkVectorText: capitals are 1 high, and there is no minus sign.
            body = pv.Text3D(prop.GetInput().replace("\u2212", "-"), depth=0.0)
            points = np.array(body.points) * (0.75 * style.GetFontSize() / max(float(np.ptp(body.points[:, 1])), 1e-9))
            low, high = points.min(0), points.max(0)
            across = (0.0, 0.5, 1.0)[style.GetJustification()]
            along = (0.0, 0.5, 1.0)[style.GetVerticalJustification()]
            points -= [low[0] + across * (high[0] - low[0]), low[1] + along * (high[1] - low[1]), low[2]]
            body.points = np.array(prop.GetPosition()) + unit * (points + offset) @ axes
            actor = pv.Actor(mapper=pv.DataSetMapper(body))
            actor.prop.color, actor.prop.lighting = "black", False
            yield renderer, actor


def _titles(plotter: Any) -> list[str]:
    """Titles of the panels."""
    found = [[p for p in r.GetViewProps() if p.IsA("vtkTextActor")] for r in plotter.renderers]
    titles = [" ".join(p.GetInput() for p in props if p.GetTextProperty().GetFontSize() == LARGE) for props in found]
    return [title for title in titles if title]
