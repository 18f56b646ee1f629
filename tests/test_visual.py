"""Pictures: off screen, with the right data, returned plotters, no state left behind."""

import numpy as np
import pytest
from conftest import quads
from ngsolve import H1, L2, GridFunction, x, y
from test_raster import rectangle

from ngs_nhcsr import InvalidProblem, NhcsrWarning, plot_compare, plot_field, plot_warp, to_pyvista
from ngs_nhcsr.ngsolve_io.meshes import structured_mesh
from ngs_nhcsr.solvers.space import Space

pytest.importorskip("pyvista")


def field(mesh, cf=x * y):
    u = GridFunction(H1(mesh, order=1, dirichlet=".*"))
    u.Interpolate(cf)
    return u


@pytest.mark.parametrize("mesh", [quads(4), rectangle(0.3), structured_mesh(Space((3, 5)))])
def test_grid_carries_the_vertex_values(mesh):
    u = field(mesh)
    grid = to_pyvista(u)
    assert grid.n_cells == mesh.ne
    assert grid.n_points == mesh.nv
    np.testing.assert_allclose(grid.point_data["u"], grid.points[:, 0] * grid.points[:, 1], atol=1e-6)
    assert grid.area == pytest.approx(1.0, rel=1e-5)


def test_only_scalar_h1_fields():
    with pytest.raises(InvalidProblem, match="scalar H1"):
        to_pyvista(GridFunction(L2(quads(2), order=0)))


def shows_something(path):
    from PIL import Image

    image = np.asarray(Image.open(path).convert("RGB"))
    return len(np.unique(image.reshape(-1, 3), axis=0)) > 50


def test_pictures_are_written(tmp_path):
    u = field(quads(8))
    for draw in (plot_field, plot_warp):
        path = tmp_path / f"bild ü {draw.__name__}.png"
        plotter = draw(u, title="u", path=path, show=False)
        plotter.close()
        assert shows_something(path)


@pytest.mark.parametrize("warp", [False, True])
def test_comparison(tmp_path, warp):
    coarse, fine, reference = field(quads(4)), field(quads(16)), field(quads(16), x * y + 0.1 * x)
    path = tmp_path / "compare.png"
    plotter = plot_compare(coarse, fine, reference, warp=warp, path=path, show=False)
    assert plotter.shape == (2, 2)
    plotter.close()
    assert shows_something(path)
    plot_compare(coarse, fine, path=tmp_path / "two.png", show=False).close()
    with pytest.raises(InvalidProblem, match="same fine mesh"):
        plot_compare(coarse, fine, coarse)


def test_69_constant_and_not_finite_fields(tmp_path):
    plot_field(field(quads(3), 0 * x + 2.0), path=tmp_path / "constant.png", show=False).close()
    broken = field(quads(3))
    broken.vec[5] = np.nan
    with pytest.warns(NhcsrWarning, match="not finite"):
        plot_field(broken, path=tmp_path / "nan.png", show=False).close()


def test_global_theme_is_left_alone():
    import pyvista as pv

    before = pv.global_theme.to_dict()
    plot_field(field(quads(3)), show=False).close()
    assert pv.global_theme.to_dict() == before


def test_missing_egl_is_an_error_not_a_crash(monkeypatch):
    from ngs_nhcsr import DependencyMissing

    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(DependencyMissing, match="libegl1"):
        to_pyvista(field(quads(2)))
