"""The commands for one's own image: orientation, grey levels, files, known solutions, and one line per mistake."""

import json
import re
import typing

import numpy as np
import pytest
from PIL import Image

import ngs_nhcsr
from ngs_nhcsr import InvalidProblem, SolverFailure
from ngs_nhcsr.cli.image_problem import BOUNDARIES, image_problem, parse_sides
from ngs_nhcsr.cli.image_solve import solve_exact
from ngs_nhcsr.files import Solution, cell_velocity, write
from ngs_nhcsr.media.images import read_medium
from ngs_nhcsr.solvers.space import SIDES
from ngs_nhcsr.solvers.trace import TraceField, solve_pde
from ngs_nhcsr.solvers.trace.effective import Condition

SEALED = "left=0,right=1,top=sealed,bottom=sealed"


@pytest.fixture
def pixels():
    """Asymmetric two-valued raster, row 0 at the bottom."""
    return np.random.default_rng(17).random((11, 14)) < 0.4


def unwrapped(text):
    """Undo line breaks."""
    return " ".join(text.split())


def save_image(path, levels):
    """Write grey levels, given with row 0 at the bottom, as every image program does: top row first."""
    Image.fromarray(np.uint8(levels)[::-1]).save(path)


def test_an_image_and_the_flipped_array_give_the_same_field(run, pixels):
    save_image("m.png", 255 * pixels)
    np.save("m.npy", np.where(pixels, 10.0, 1.0))
    code, said, _ = run("correct", "m.png", "--values", "1,10", "--out", "image.npz")
    assert code == 0
    assert "rows flipped" in said
    code, said, _ = run("correct", "m.npy", "--out", "array.npz")
    assert code == 0
    assert "flipped" not in said
    image, array = np.load("image.npz"), np.load("array.npz")
    np.testing.assert_array_equal(image["a"], np.where(pixels, 10.0, 1.0))
    np.testing.assert_array_equal(image["u"], array["u"])


@pytest.mark.parametrize("suffix", ["tif", "jpg"])
def test_other_formats_are_read_the_same_way(tmp_path, suffix):
    blocks = np.kron([[0, 1], [0, 0]], np.ones((16, 16)))  # bright at the lower right
    save_image(tmp_path / f"m.{suffix}", 255 * blocks)
    a = read_medium(tmp_path / f"m.{suffix}", (1.0, 10.0), threshold=128).a
    np.testing.assert_array_equal(a, 1 + 9 * blocks)


def test_threshold_by_otsu_and_by_hand(run):
    from skimage.filters import threshold_otsu

    levels = np.random.default_rng(3).integers(0, 256, (12, 12))
    save_image("m.png", levels)
    code, said, _ = run("correct", "m.png", "--values", "1,5", "--out", "otsu.npz")
    assert code == 0
    assert f"levels above {threshold_otsu(levels):g} (Otsu) are 5" in unwrapped(said)
    np.testing.assert_array_equal(np.load("otsu.npz")["a"], np.where(levels > threshold_otsu(levels), 5, 1))
    run("correct", "m.png", "--values", "1,5", "--threshold", "60", "--out", "hand.npz")
    np.testing.assert_array_equal(np.load("hand.npz")["a"], np.where(levels > 60, 5, 1))


@pytest.mark.parametrize(
    ("levels", "options", "told"),
    [
        ([[0, 255], [255, 255]], "1,10", "a: grey 0 → 1 on 25.0%, grey 255 → 10 on 75.0%"),
        ([[0, 90], [91, 255]], "1,10 --threshold 90", "a: grey 0 … 90 → 1 on 50.0%, grey 91 … 255 → 10 on 50.0%"),
        ([[7, 90], [200, 200]], "5,1,5", "a: grey 7, 200 → 5 on 75.0%, grey 90 → 1 on 25.0%"),
        ([[1, 2, 3], [4, 5, 6]], "1,2,3,4,5,6", "a: 6 values from 1 to 6"),
    ],
)
def test_which_grey_level_got_which_value_is_told(run, levels, options, told):
    save_image("m.png", levels)
    code, said, _ = run("effective", "m.png", "--values", *options.split())
    assert code == 0
    assert told in unwrapped(said)


def test_one_value_per_level_in_the_order_of_the_levels(tmp_path):
    levels = np.array([[7, 200, 90], [90, 7, 200]])
    save_image(tmp_path / "m.png", levels)
    expected = [[3.0, 1.0, 2.0], [2.0, 3.0, 1.0]]
    assert read_medium(tmp_path / "m.png", (3.0, 2.0, 1.0)).a.tolist() == expected
    np.save(tmp_path / "m.npy", levels)
    assert read_medium(tmp_path / "m.npy", (3.0, 2.0, 1.0)).a.tolist() == expected
    (tmp_path / "m.npy").rename(tmp_path / "m.npz")  # what is inside counts
    assert read_medium(tmp_path / "m.npz", (3.0, 2.0, 1.0)).a.tolist() == expected


def test_colours_and_sixteen_bits(tmp_path):
    levels = np.array([[100, 60000], [60000, 100]], np.uint16)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    assert read_medium(tmp_path / "deep.png", (1.0, 2.0)).a.tolist() == [[2.0, 1.0], [1.0, 2.0]]
    colours = np.zeros((2, 2, 3), np.uint8)
    colours[0, 0] = (255, 0, 0)
    Image.fromarray(colours).save(tmp_path / "red.png")
    medium = read_medium(tmp_path / "red.png", (1.0, 2.0))
    assert medium.a.tolist() == [[1.0, 1.0], [2.0, 1.0]]
    assert "colours turned to grey" in medium.notes
    opaque = np.full((2, 2, 4), 255, np.uint8)
    opaque[0, 1, :3] = 0
    Image.fromarray(opaque).save(tmp_path / "opaque.png")
    medium = read_medium(tmp_path / "opaque.png", (1.0, 2.0))
    assert medium.a.tolist() == [[2.0, 2.0], [2.0, 1.0]]
    assert "colours turned to grey" not in medium.notes


def test_files_hold_the_field(run, pixels):
    pv = pytest.importorskip("pyvista")
    a = np.where(pixels, 100.0, 1.0)
    np.save("m.npy", a)
    code, _, _ = run(
        "correct", "m.npy", "--pixel", 0.5, "--scale", 8, "--out", "u.vtu", "--out", "u.npz", "--out", "u.png"
    )
    assert code == 0
    field = solve_pde(a, 1.0, size=(5.5, 7.0))
    cells = (22, 28)
    arrays = np.load("u.npz")
    np.testing.assert_allclose(arrays["u"], field.nodes(cells), rtol=0, atol=1e-14)
    np.testing.assert_allclose(arrays["velocity"], cell_velocity(field, cells), rtol=0, atol=1e-10)
    assert arrays["x"][[0, -1]].tolist() == [0.0, 7.0]
    assert arrays["y"][[0, -1]].tolist() == [0.0, 5.5]
    assert float(arrays["relative_error_bound"]) == pytest.approx(field.relative_error_bound, rel=1e-6)
    grid = pv.read("u.vtu")
    x, y, _ = grid.points.T
    np.testing.assert_allclose(grid.point_data["u"], field.at(np.stack([x, y], axis=1)), rtol=0, atol=1e-12)
    X, Y, _ = grid.cell_centers().points.T
    np.testing.assert_array_equal(grid.cell_data["a"], a[(Y / 0.5).astype(int), (X / 0.5).astype(int)])
    np.testing.assert_allclose(grid.cell_data["velocity"][:, :2], arrays["velocity"].reshape(-1, 2), atol=1e-14)
    picture = np.asarray(Image.open("u.png").convert("RGB"))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100


def test_written_arrays_can_be_read_again(tmp_path, pixels):
    a = np.where(pixels, 4.0, 1.0)
    write(tmp_path / "u.npz", Solution(np.zeros((12, 15)), a, (1.0, 1.0)))
    np.testing.assert_array_equal(read_medium(tmp_path / "u.npz").a, a)


def test_layers_carry_the_series_and_the_parallel_flow():
    layers = np.array([[1.0], [4.0], [20.0], [2.0]]) * np.ones((4, 6))
    across = image_problem(layers, parse_sides("bottom=0,top=2,left=sealed,right=sealed"), pixel=0.25)
    (_, _, flow), exact = solve_exact(across).summary, 2 * 1.5 / (0.25 * (1 + 1 / 4 + 1 / 20 + 1 / 2))
    middle, low, high = (float(v) for v in re.findall(r"\d+\.\d+", flow))
    assert middle == pytest.approx(exact, rel=1e-6)
    assert low * (1 - 1e-9) <= exact <= high * (1 + 1e-9)
    along = image_problem(layers, parse_sides(SEALED), pixel=0.25)
    solved = solve_exact(along)
    assert f"flow from right to left: {0.25 * 27 / 1.5:.3g}" in solved.summary[-1]
    np.testing.assert_allclose(solved.fields.velocity[..., 0], -solved.fields.coefficient / 1.5, rtol=1e-6)
    np.testing.assert_allclose(solved.fields.velocity[..., 1], 0, atol=1e-6)


def test_checkerboard_conducts_like_the_geometric_mean(run):
    np.save("m.npy", np.indices((4, 4)).sum(0) % 2)
    code, said, _ = run("effective", "m.npy", "--values", "1,25", "--json")
    found = json.loads(said)
    assert code == 0
    for k in range(2):
        assert found["lower"][k][k] <= 5 + 1e-9
        assert found["upper"][k][k] >= 5 - 1e-9
        assert found["tensor"][k][k] == pytest.approx(5, rel=1e-4)
    code, said, _ = run("effective", "m.npy", "--values", "1,25", "--boundary", "sealed")
    assert code == 0
    assert "lower <= tensor <= upper" in said
    assert max(map(len, said.splitlines())) <= 80


def test_the_fine_target_reports_against_the_fine_solution(run, pixels):
    save_image("m.png", 255 * np.kron(pixels, np.ones((3, 3))))  # 42 x 33
    code, said, _ = run("correct", "m.png", "--values", "1,10", "--target", "fine", "--bc", SEALED)
    assert code == 0
    assert "by multigrid" in said
    assert "42 x 33 pixels do not fit 10 x 8 coarse cells" in unwrapped(said)
    assert "flow" not in said  # the nodal values are not those of the mesh that was solved on
    code, said, _ = run("correct", "m.png", "--values", "1,10", "--target", "fine", "--crop", "--out", "u.vtu")
    assert code in (0, 3)
    assert "m.png: 40 x 32 pixels" in said
    assert "cropped at the top and right, from 42 x 33" in unwrapped(said)
    assert "error against the fine Q1 solution" in said
    assert max(map(len, said.splitlines())) <= 80


def test_the_image_itself_is_not_replaced(run, pixels, tmp_path):
    save_image("m.png", 255 * pixels)
    before = (tmp_path / "m.png").read_bytes()
    code, _, err = run("correct", "m.png", "--values", "1,10", "--out", tmp_path / "m.png", "--force")
    assert code == 2
    assert "is the image itself" in err
    assert (tmp_path / "m.png").read_bytes() == before


def test_a_field_without_bound_is_written_and_not_relied_on(run, pixels, monkeypatch):
    def fail(self):
        raise SolverFailure("conjugate gradients stopped; raise max_steps")

    monkeypatch.setattr(TraceField, "relative_error_bound", property(fail))
    np.save("m.npy", np.where(pixels, 10.0, 1.0))
    code, said, _ = run("correct", "m.npy", "--out", "u.npz")
    assert code == 1
    assert "no bound was found" in said
    assert "max_steps" not in said  # the command has no such option
    assert np.load("u.npz")["u"].max() > 0


def test_methods_are_compared_on_an_image(run, pixels):
    save_image("m.png", 255 * pixels)
    code, said, _ = run("compare", "m.png", "--values", "1,10", "--scale", "4", "--methods", "prolongation")
    assert code == 0
    assert "cropped at the top and right, from 14 x 11" in unwrapped(said)
    assert "prolongation" in said
    assert "3 x 2 coarse, 12 x 8 coefficient" in said
    code, _, err = run("compare", "--values", "1,10")
    assert code == 2
    assert "for an image" in err


def test_the_summary_is_short_and_fits_the_terminal(run, pixels):
    save_image("a_photograph_of_something.png", 255 * pixels)
    code, said, _ = run(
        "correct", "a_photograph_of_something.png", "--values", "1,10", "--bc", SEALED, "--out", "u.npz"
    )
    assert code == 0
    lines = said.splitlines()
    assert 5 <= len(lines) <= 9
    assert max(map(len, lines)) <= 80
    assert "guaranteed" in said
    assert "written" in lines[-1]


def test_an_accuracy_out_of_reach_is_told_and_written_all_the_same(run, pixels, tmp_path):
    np.save("m.npy", np.where(pixels, 10.0, 1.0))
    code, said, _ = run("correct", "m.npy", "--accuracy", "1e-11", "--out", "u.npz")
    assert code == 1
    assert re.search(
        r"--accuracy 1e-11 is out of reach for this image: 12 functions per edge guarantee \S+; give "
        r"--accuracy \de-\d\d or more\.",
        unwrapped(said),
    )
    assert "modes" not in said
    assert (tmp_path / "u.npz").exists()


def test_nothing_is_overwritten_unasked(run, pixels, tmp_path):
    np.save("m.npy", np.where(pixels, 10.0, 1.0))
    (tmp_path / "u.npz").write_text("mine")
    code, said, err = run("correct", "m.npy", "--out", "u.npz")
    assert code == 2
    assert "u.npz exists already" in err
    assert not said  # refused before the work
    assert (tmp_path / "u.npz").read_text() == "mine"
    assert run("correct", "m.npy", "--out", "u.npz", "--force")[0] == 0
    assert "u" in np.load("u.npz")


MISTAKES = {
    "there is no file none.png": ("none.png", "--values", "1,10"),
    "notes.txt is no image or array": ("notes.txt",),
    "broken.png cannot be read as an image": ("broken.png", "--values", "1,10"),
    "broken.npy cannot be read as a NumPy array": ("broken.npy",),
    "3d.npy has shape (2, 2, 2)": ("3d.npy",),
    "many.npz holds x, y": ("many.npz",),
    "nan.npy has values that are not finite: 1, the first at row 0, column 1": ("nan.npy",),
    "the coefficient is -1 somewhere": ("negative.npy",),
    "a threshold needs two values": ("negative.npy", "--threshold", "1"),
    "pages.tif has 2 pages": ("pages.tif", "--values", "1,10"),
    "clear.png has transparent pixels": ("clear.png", "--values", "1,10"),
    "two.png has grey levels, not coefficients": ("two.png",),
    "3 value(s) were given for 2 grey levels (0, 255)": ("two.png", "--values", "1,2,3"),
    "all pixels have the grey level 9": ("grey.png", "--values", "1,10"),
    "the threshold 255 leaves all pixels on one side": ("two.png", "--values", "1,10", "--threshold", "255"),
    "--values needs numbers": ("two.png", "--values", "1;10"),
    "values must be positive, or 0 for voids, not -1, 10": ("two.png", "--values=-1,10"),
    "the coefficient is 0 everywhere": ("two.png", "--values", "0,0"),
    "takes no load between voids": ("four.png", "--values", "0,10", "--target", "fine"),
    "voids cut all pixels off": ("island.png", "--values", "0,10"),
    "contrast 1.0e+08; at most 1e+07": ("two.png", "--values", "1,1e8"),
    "there is no side 'up' in --bc": ("two.png", "--values", "1,10", "--bc", "up=0"),
    "names the side left twice": ("two.png", "--values", "1,10", "--bc", "left=0,left=1"),
    '--bc left= needs a number or "sealed"': ("two.png", "--values", "1,10", "--bc", "left=open"),
    "u jumps from 1 on bottom to 0 on right": ("two.png", "--values", "1,10", "--bc", "left=0,bottom=1"),
    "with all sides sealed": ("two.png", "--values", "1,10", "--bc", ",".join(f"{s}=sealed" for s in SIDES)),
    "u is 3 everywhere": ("two.png", "--values", "1,10", "--bc", ",".join(f"{s}=3" for s in SIDES)),
    "--load must be finite": ("two.png", "--values", "1,10", "--load", "inf"),
    "--pixel must be a positive length": ("two.png", "--values", "1,10", "--pixel", "0"),
    "scale 10 gives 2.5 fine cells per pixel": ("two.png", "--values", "1,10", "--scale", "10"),
    "scale nan gives nan fine cells per pixel": ("two.png", "--values", "1,10", "--scale", "nan"),
    "--accuracy is a relative error between 0 and 1": ("two.png", "--values", "1,10", "--accuracy", "2"),
    "2 x 3 pixels cannot be cropped": ("two.png", "--values", "1,10", "--crop"),
    "are for --target fine": ("two.png", "--values", "1,10", "--model", "basis-hybrid"),
    "--accuracy is for --target pde": ("two.png", "--values", "1,10", "--target", "fine", "--accuracy", "0.1"),
    'target must be "fine" or "pde"': ("two.png", "--values", "1,10", "--target", "exact"),
    "u.txt has no suffix that can be written": ("two.png", "--values", "1,10", "--out", "u.txt"),
    "there is no folder none": ("two.png", "--values", "1,10", "--out", "none/u.npz"),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_a_mistake_is_one_line(run, tmp_path, message):
    save_image(tmp_path / "two.png", [[0, 255], [255, 255], [0, 0]])
    save_image(tmp_path / "grey.png", [[9, 9]])
    (tmp_path / "notes.txt").write_text("a")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n")
    (tmp_path / "broken.npy").write_bytes(b"no array")
    np.save(tmp_path / "3d.npy", np.ones((2, 2, 2)))
    np.save(tmp_path / "nan.npy", np.array([[1.0, np.nan]]))
    np.save(tmp_path / "negative.npy", np.array([[1.0, -1.0]]))
    save_image(tmp_path / "four.png", 255 * np.eye(4))
    save_image(tmp_path / "island.png", 255 * np.pad(np.ones((2, 2)), 2))
    np.savez(tmp_path / "many.npz", x=np.ones((2, 2)), y=np.ones((2, 2)))
    page = Image.fromarray(np.zeros((2, 2), np.uint8))
    page.save(tmp_path / "pages.tif", save_all=True, append_images=[page])
    Image.fromarray(np.full((2, 2, 4), 100, np.uint8)).save(tmp_path / "clear.png")
    code, _, err = run("correct", *MISTAKES[message])
    assert code == 2
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32])
def test_numbers_in_a_tiff_keep_their_order(tmp_path, kind):
    """Pillow reads unsigned numbers of 32 bits as signed ones, and signed ones of 8 bits as unsigned."""
    tifffile = pytest.importorskip("tifffile")
    low, high = (-100.0, 7.5) if kind is np.float32 else (np.iinfo(kind).min, np.iinfo(kind).max)
    levels = np.array([[low, low, high], [high, low, high]], dtype=kind)
    tifffile.imwrite(tmp_path / "levels.tif", levels)
    medium = read_medium(tmp_path / "levels.tif", (1.0, 10.0))
    assert np.array_equal(medium.a, np.where(levels == high, 10.0, 1.0)[::-1])
    assert medium.greys == ((low, low, 1.0), (high, high, 10.0))


def test_the_boundaries_of_the_command_are_those_of_the_solver():
    assert typing.get_args(Condition) == BOUNDARIES


def test_effective_refuses_an_unknown_boundary(run):
    np.save("m.npy", np.ones((2, 2)))
    code, _, err = run("effective", "m.npy", "--boundary", "open")
    assert code == 2
    assert 'boundary must be "periodic", "linear" or "sealed"' in err


def test_version(run):
    assert run("--version") == (0, f"ngs-nhcsr {ngs_nhcsr.__version__}\n", "")


@pytest.mark.parametrize("command", ["demo", "compare"])
@pytest.mark.parametrize(("option", "value"), [("--n", "0"), ("--scale", "0"), ("--contrast", "0.5"), ("--seed", "-1")])
def test_sizes_out_of_range_are_refused_by_name_before_the_work(run, command, option, value):
    code, said, err = run(command, option, value)
    assert code == 2
    assert not said
    assert f"Invalid value for '{option}'" in err


def test_the_remedy_for_a_jump_at_a_corner_keeps_what_was_meant():
    with pytest.raises(InvalidProblem, match=r"--bc bottom=sealed,right=0,top=sealed,left=1\."):
        parse_sides("left=1,right=0")


def test_suggested_sides_are_accepted():
    """What the error about a jump suggests for one value is a problem with a flow, not u constant."""
    with pytest.raises(InvalidProblem, match="jumps") as caught:
        parse_sides("left=1")
    suggested = parse_sides(str(caught.value).split("--bc ")[1].rstrip("."))
    assert len({value for value in suggested.values() if value is not None}) == 2


def test_condition_without_side_says_a_form_that_is_accepted():
    with pytest.raises(InvalidProblem, match="side=value") as caught:
        parse_sides("sealed")
    assert parse_sides(str(caught.value).split("e.g. ")[1].split(", not")[0])["left"] == 1
