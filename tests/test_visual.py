"""Pictures: the right data in the right place, axes with round numbers, any field, nothing left behind."""

import re
import sys

import numpy as np
import pytest
from conftest import quads
from ngsolve import CF, H1, L2, GridFunction, HDiv, Norm, x, y
from PIL import Image
from test_raster import rectangle

from ngs_nhcsr import (
    DependencyMissing,
    InvalidProblem,
    NhcsrWarning,
    correct,
    orbit,
    plot_compare,
    plot_field,
    plot_slices,
    plot_spectrum,
    plot_warp,
    plot_zoom,
    to_pyvista,
)
from ngs_nhcsr.demo import coarse_problem
from ngs_nhcsr.ngsolve_io.meshes import structured_mesh
from ngs_nhcsr.solvers.space import Space
from ngs_nhcsr.visual.backend import label, ticks
from ngs_nhcsr.visual.compare import difference
from ngs_nhcsr.visual.field import as_field
from ngs_nhcsr.visual.maps import Look
from ngs_nhcsr.visual.panels import LEFT, current_size, panel_size

pytest.importorskip("pyvista")


def field(mesh, cf=x * y, space=H1, **options):
    u = GridFunction(space(mesh, **{"order": 1, **options}))
    u.Set(cf) if space is not H1 or u.space.globalorder > 1 else u.Interpolate(cf)
    return u


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def texts(plotter):
    """What is written in a picture."""
    kinds = ("vtkTextActor", "vtkBillboardTextActor3D")
    return [p.GetInput() for r in plotter.renderers for p in r.GetViewProps() if any(p.IsA(kind) for kind in kinds)]


@pytest.mark.parametrize("mesh", [quads(4), rectangle(0.3), structured_mesh(Space((3, 5)))])
def test_grid_carries_the_vertex_values(mesh):
    grid = to_pyvista(field(mesh))
    assert grid.n_cells == mesh.ne
    assert grid.n_points == mesh.nv
    np.testing.assert_allclose(grid.point_data["u"], grid.points[:, 0] * grid.points[:, 1], atol=1e-6)
    assert grid.area == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("mesh", [quads(3), rectangle(0.4)])
@pytest.mark.parametrize("space", [H1, L2])
def test_spaces_of_any_order_are_drawn_exactly_at_their_points(mesh, space):
    grid = to_pyvista(field(mesh, x**3 - y, space, order=3))
    assert grid.n_cells == 9 * mesh.ne
    assert grid.area == pytest.approx(1.0, rel=1e-5)
    X, Y, _ = grid.points.T
    np.testing.assert_allclose(grid.point_data["u"], X**3 - Y, atol=1e-6)


def test_jumps_stay(tmp_path):
    mesh = quads(2)
    grid = to_pyvista(field(mesh, x, L2, order=0))
    np.testing.assert_allclose(grid.cell_data["u"], grid.cell_centers().points[:, 0])
    coefficient = to_pyvista(CF(1) + x, mesh=mesh, subdivision=4)
    np.testing.assert_allclose(coefficient.cell_data["u"], 1 + coefficient.cell_centers().points[:, 0])
    velocity = to_pyvista(field(mesh, CF((y, -x)), HDiv, order=2))
    np.testing.assert_allclose(velocity.point_data["u"][:, 0], velocity.points[:, 1], atol=1e-6)


def test_a_coarse_cell_is_bilinear():
    """The value in the middle of one cell is the mean of its corners, which no cut into two triangles has."""
    u = field(quads(1), x * y)
    grid = as_field(u).grid("u")
    middle = grid.point_data["u"][grid.find_closest_point((0.5, 0.5, 0.0))]
    assert middle == pytest.approx(0.25)
    assert as_field(u).at(np.array([[0.5, 0.25], [1.0, 1.0]])).tolist() == [0.125, 1.0]


def test_arrays_have_their_first_row_at_the_bottom(tmp_path):
    path = tmp_path / "a.png"
    plotter = plot_field([[1.0, 2.0], [2.0, 2.0]], extent=(0, 4, 0, 4), cmap="gray", path=path, show=False)
    plotter.close()
    picture = pixels(path)
    width, height = panel_size((0, 4, 0, 4), 600, lines=0)
    assert picture.shape == (height, width, 3)
    assert picture[height - 44 - 150, LEFT + 150].tolist() == [0, 0, 0]
    for right, up in ((450, 150), (150, 450), (450, 450)):
        assert picture[height - 44 - up, LEFT + right].tolist() == [255, 255, 255]


def test_axes_and_bar_have_round_numbers(tmp_path):
    plotter = plot_field(field(quads(4), 0.0737 * x * y), title="coarse | 4 x 4 cells", show=False)
    written = texts(plotter)
    plotter.close()
    assert "coarse ∣ 4 x 4 cells" in written  # VTK drops what stands behind |
    assert written.count("0.2") == written.count("0.8") == 2
    assert {"0.01", "0.02", "0.07"} <= set(written)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ((-3.1e-7, 2e-7), [-2e-7, 0, 2e-7]),
        ((0.9, 1.1), [0.9, 0.95, 1, 1.05, 1.1]),
    ],
)
def test_ticks_are_round_and_inside(limits, expected):
    np.testing.assert_allclose(ticks(*limits, 5), expected, atol=1e-15)


def test_logarithmic_ticks_and_labels():
    assert ticks(1.0, 1e4, 5, log=True) == [1, 10, 100, 1000, 1e4]
    assert ticks(2.0, 8.0, 4, log=True) == [2, 4, 6, 8]
    assert [label(v) for v in (0.0, -0.5, 1e5, 3e-9)] == ["0", "−0.5", "1e5", "3e−9"]


def test_high_contrast_of_positive_cells_is_drawn_logarithmically():
    values = np.array([1.0, 1000.0])
    assert Look().settled(values, True).log
    assert Look().settled(np.array([1.0, 21.0]), True).log
    assert not Look().settled(np.array([1.0, 20.0]), True).log
    assert not Look().settled(values, False).log
    assert not Look().settled(values - 1, True).log
    assert not Look(log=False).settled(values, True).log


def test_pictures_of_every_kind_of_field(tmp_path):
    mesh = quads(6)
    drawn = {
        "h1": {"u": field(mesh, x, order=3)},
        "l2": {"u": field(rectangle(0.3), x - y, L2, order=0)},
        "vector": {"u": field(mesh, CF((y, -x)), HDiv)},
        "cf": {"u": Norm(CF((x, y))), "mesh": mesh},
        "nodes": {"u": np.eye(4), "on": "nodes"},
        "velocity": {"u": np.ones((3, 5, 2))},
    }
    for name, options in drawn.items():
        path = tmp_path / f"bild ü {name}.png"
        plot_field(**options, path=path, show=False).close()
        assert len(np.unique(pixels(path) @ (65536, 256, 1))) > (1 if name == "velocity" else 30), name


@pytest.mark.parametrize(
    ("u", "options", "message"),
    [
        (np.zeros(3), {}, "has the shape"),
        (np.zeros((2, 2)), {"on": "edges"}, '"cells" or "nodes"'),
        (np.zeros((2, 2)), {"extent": (1, 0, 0, 1)}, "extent must be"),
        (x * y, {}, "give mesh="),
        ("u", {}, "can be drawn, not"),
        (CF((x, y, x)), {"mesh": quads(2)}, "3 components"),
        (np.eye(2), {"limits": (1, 1)}, "ascending"),
        (np.eye(2), {"path": "u.bmp"}, "choose among .png, .html"),
        (np.eye(2), {"path": "none/u.png"}, "there is no folder none"),
    ],
)
def test_what_cannot_be_drawn_is_said(u, options, message):
    with pytest.raises(InvalidProblem, match=re.escape(message)):
        plot_field(u, show=False, **options)


def test_complex_fields_are_refused():
    with pytest.raises(InvalidProblem, match="complex"):
        to_pyvista(GridFunction(H1(quads(2), complex=True)))


def test_surfaces_fill_their_panel_and_leave_the_bar_alone(tmp_path):
    path = tmp_path / "u.png"
    plot_warp(field(quads(8), 16 * x * (1 - x) * y * (1 - y)), path=path, show=False).close()
    dark = (pixels(path) < 200).any(axis=2)
    height, width = dark.shape
    scene = np.flatnonzero(dark[60:].any(axis=0))
    assert scene[0] < 0.1 * width
    assert dark[:, : int(0.8 * width)].any(axis=1).sum() > 0.55 * height
    assert not dark[60:, int(0.86 * width) : int(0.88 * width)].any()  # between scene and bar


@pytest.mark.parametrize("warp", [False, True])
def test_comparison_leaves_no_panel_empty(tmp_path, warp):
    coarse, fine, reference = field(quads(4)), field(quads(16)), field(quads(16), x * y + 0.1 * x)
    path = tmp_path / "compare.png"
    plotter = plot_compare(coarse, fine, reference, warp=warp, path=path, show=False)
    written = texts(plotter)
    plotter.close()
    assert {"coarse, 4 x 4 cells", "corrected − reference", "coarse − reference"} <= set(written)
    rows, columns = plotter.shape
    assert rows * columns == 6
    picture = pixels(path)
    for row in np.array_split(picture, rows):
        for panel in np.array_split(row, columns, axis=1):
            assert (panel < 200).any(axis=2).mean() > 0.02


def test_comparison_with_a_coefficient(tmp_path):
    coarse, fine = np.zeros((3, 9)), np.ones((5, 17))
    plotter = plot_compare(coarse, fine, coefficient=np.ones((4, 16)), path=tmp_path / "c.png", show=False)
    written = texts(plotter)
    plotter.close()
    assert plotter.shape == (4, 1)  # a wide domain
    assert "coefficient, 16 x 4 cells" in written
    with pytest.raises(InvalidProblem, match="fields of one domain"):
        plot_compare(field(quads(2)), field(quads(2, mapping=lambda x, y: (2 * x, y))))


def test_differences_of_fields_on_different_meshes():
    fine, coarse = field(quads(8), x * y), field(rectangle(0.4), x)
    for one, other in ((fine, coarse), (fine, field(quads(2), x))):
        found = difference(as_field(one), as_field(other))
        ny, nx = (n - 1 for n in found.values.shape)
        Y, X = np.mgrid[: ny + 1, : nx + 1] / np.array([ny, nx])[:, None, None]
        np.testing.assert_allclose(found.values, X * Y - X, atol=1e-2 if nx > 8 else 1e-12)


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_profiles(tmp_path, suffix):
    coarse, fine = field(quads(4), x + y), field(quads(16), x + 2 * y)
    path = tmp_path / f"profile.{suffix}"
    figure = plot_slices({"coarse": coarse, "corrected": fine}, x=0.5, coefficient=np.eye(4) + 1, path=path)
    curves = figure.axes[0].lines
    for curve, slope in zip(curves, (1, 2), strict=True):
        np.testing.assert_allclose(curve.get_ydata(), 0.5 + slope * curve.get_xdata(), atol=1e-12)
    assert path.stat().st_size > 2_000
    with pytest.raises(InvalidProblem, match="misses the domain"):
        plot_slices({"u": fine}, y=2.0)


def test_zoom_shows_one_coarse_cell(tmp_path):
    a = np.kron([[1.0, 1000.0], [1000.0, 1.0]], np.ones((4, 4)))
    path = tmp_path / "zoom.png"
    figure = plot_zoom({"u": field(quads(8), x + y)}, a, coarse=(4, 4), cell=(1, 2), path=path)
    assert figure.axes[0].get_xlim() == (0.5, 0.75)
    assert figure.axes[0].get_ylim() == (0.25, 0.5)
    assert path.exists()
    with pytest.raises(InvalidProblem, match="no cell"):
        plot_zoom({"u": field(quads(8))}, a, coarse=(4, 4), cell=(4, 0))


def test_spectrum_shows_the_wave_numbers(tmp_path):
    waves = np.sin(2 * np.pi * 32 * (np.arange(256) + 0.5) / 256)
    figure = plot_spectrum({"u": np.ones((256, 1)) * waves}, on="cells", path=tmp_path / "s.svg")
    k, amplitude = figure.axes[0].lines[0].get_data()
    assert k[np.argmax(amplitude)] == 32


def test_orbit_turns(tmp_path):
    orbit(field(quads(4)), tmp_path / "u.gif", frames=3, size=(240, 180))
    with Image.open(tmp_path / "u.gif") as animation:
        assert animation.n_frames == 3
    with pytest.raises(InvalidProblem, match=r"choose among \.gif"):
        orbit(field(quads(4)), tmp_path / "u.png")


def test_pages_hold_the_scene_and_its_title(tmp_path):
    pytest.importorskip("trame_vtk")
    plot_warp(field(quads(4)), title='a "title" < 1', path=tmp_path / "u.html", show=False).close()
    page = (tmp_path / "u.html").read_text(encoding="utf-8")
    assert "OfflineLocalView.load" in page
    assert r'content:"a \"title\" \3c  1"' in page


def test_pages_without_trame_say_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trame_vtk.modules.vtk", None)
    with pytest.raises(DependencyMissing, match=r"ngs-nhcsr\[html\]"):
        plot_field(np.eye(2), path=tmp_path / "u.html", show=False)


@pytest.mark.parametrize(("target", "words"), [("fine", "u_h"), ("pde", "the PDE's u")])
def test_pictures_of_corrections_name_their_target(target, words):
    u_coarse, a = coarse_problem(np.array([[1.0, 2.0], [3.0, 1.0]]).repeat(4, 0).repeat(4, 1), 2)
    r = correct(u_coarse, a, 8, f=1, target=target, full=True)
    for plotter in (plot_compare(u_coarse, r), plot_field(r), plot_warp(r)):
        assert f"corrected to {words}, 16 x 16 cells" in texts(plotter)
        plotter.close()
    assert plot_slices({"corrected": r}).axes[0].lines[0].get_ydata().max() > 0


def test_69_constant_and_not_finite_fields(tmp_path):
    plotter = plot_field(field(quads(3), 0 * x + 2.0), path=tmp_path / "constant.png", show=False)
    assert "2" in texts(plotter)
    plotter.close()
    broken = field(quads(3))
    broken.vec[5] = np.nan
    with pytest.warns(NhcsrWarning, match="not finite") as caught:
        plot_field(broken, path=tmp_path / "nan.png", show=False).close()
    assert caught[0].filename == __file__


def test_several_panels_of_ones_own():
    import pyvista as pv

    plotter = pv.Plotter(shape=(1, 2), off_screen=True, window_size=(900, 400))
    for k in range(2):
        plotter.subplot(0, k)
        assert current_size(plotter) == (450, 400)
        plot_field(np.eye(3), title=f"panel {k}", plotter=plotter)
    assert {"panel 0", "panel 1"} <= set(texts(plotter))
    plotter.close()


def test_global_theme_is_left_alone():
    import pyvista as pv

    before = pv.global_theme.to_dict()
    plot_field(field(quads(3)), show=False).close()
    assert pv.global_theme.to_dict() == before


def test_missing_egl_is_an_error_not_a_crash(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(DependencyMissing, match="libegl1"):
        to_pyvista(field(quads(2)))
