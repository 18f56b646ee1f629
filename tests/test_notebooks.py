"""Notebooks: pictures are shown, scenes stay small and need no network."""

import re

import pytest
from conftest import quads
from ngsolve import IfPos, x, y
from test_visual import field

from ngs_nhcsr import draw, plot_field, plot_slices
from ngs_nhcsr.ngsolve_io.meshes import structured_mesh
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.visual import backend, notebook, scene
from ngs_nhcsr.visual.notebook import thinned

pytest.importorskip("webgui_jupyter_widgets")


def test_scenes_for_notebooks_stay_small(tmp_path, monkeypatch):
    monkeypatch.setattr(notebook, "LARGEST", 250_000)
    fine = field(structured_mesh(Space((100, 100))), x * y)
    assert thinned(field(quads(8))) is None
    thin = thinned(fine)
    assert thin is not None
    assert thin(thin.space.mesh(0.3, 0.7)) == pytest.approx(0.21, abs=1e-5)
    jump = thinned(IfPos(x - 0.5, 1.0, 3.0), quads(4))
    assert jump is not None
    assert sorted(set(jump.vec)) == [1.0, 3.0]
    draw(fine, filename=tmp_path / "u.html", show=False)
    page = (tmp_path / "u.html").read_text()
    assert 200_000 < len(page) < 350_000  # with the viewer
    assert "://" not in page


def test_notebooks_show_pictures_and_scenes(monkeypatch):
    pytest.importorskip("pyvista", minversion="0.48")
    formatters = pytest.importorskip("IPython.core.formatters").DisplayFormatter()
    cell = 1
    for module in (backend, notebook, scene):
        monkeypatch.setattr(module, "current_cell", lambda: cell)
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data["text/html"]))
    u = field(quads(3))
    plotter = plot_field(u)
    for picture in (plotter, plot_slices({"u": u})):
        assert formatters.format(picture)[0]["image/png"].startswith(b"\x89PNG")
    plotter.close()
    drawn = draw(u, height=300)
    assert re.match(r"<iframe [^>]*height: 300px", shown[0])
    formatters.format(drawn)  # as IPython does where a cell ends with draw
    assert len(shown) == 1
    cell = 2
    formatters.format(drawn)
    assert len(shown) == 2
