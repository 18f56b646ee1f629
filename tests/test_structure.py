"""The structure the design promises: import direction, light import, no traps, doctests, command line."""

import ast
import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ngs_nhcsr
import ngs_nhcsr.solvers
import ngs_nhcsr.training

ROOTS = {
    "": Path(ngs_nhcsr.__file__).parent,
    "solvers.": Path(ngs_nhcsr.solvers.__file__).parent,
    "training.": Path(ngs_nhcsr.training.__file__).parent,
}
#: Who may import whom: a module imports only from its own layer's members listed here or from lower layers.
LAYERS = [
    {
        "errors",
        "_version",
        "_lazy",
        "registry",
        "memory",
        "clock",
        "checks",
        "number_checks",
        "paths",
        "short_repr",
        "weights",
    },
    {"media", "solvers.kernels", "solvers.backend"},
    {
        "solvers.axes",
        "solvers.pattern",
        "solvers.space",
        "solvers.transfer",
        "solvers.positions",
        "solvers.linalg",
        "solvers.q1",
        "solvers.medium",
        "solvers.tensor_medium",
        "solvers.robin",
    },
    {"solvers.stencil"},
    {"networks"},
    {"solvers"},
    {"guard", "reading"},
    {"problem", "proposer"},
    {"refine", "budget"},
    {"ngsolve_io", "models", "options"},
    {"visual"},
    {"files"},
    {"result", "printed"},
    {"pipeline"},
    {"verify"},
    {"corrector", "prepared"},
    {"api", "many", "kept"},
    {"training"},
    {"comparison", "demo"},
    {"bench"},
    {"cli"},
]
#: The only modules that import NGSolve.
DOOR = ("ngsolve_io.", "visual.", "demo")
#: Who owns what: pattern of a definition or of a call -> the modules that may have it.
OWNERS = {
    "sparse Dirichlet solves": (
        r"\b(splu|spsolve|factorized)\(",
        # besides: the preconditioner of trace functions, and the multipliers of equilibrated fluxes
        ("solvers.direct", "solvers.trace.", "solvers.flux.equilibration"),
    ),
    "prolongation and restriction": (
        r"^def \w*(prolongat|restrict|interpolate_)\w*\(",
        ("solvers.transfer", "solvers.kernels.blackbox", "solvers.kernels.passes", "solvers.windows"),
    ),
    "energy and L2 norms": (
        r"^def (energy_(squared|norm|product|distance)|l2_(squared|norm)|relative_errors|functional)\(",
        ("solvers.norms", "solvers.kernels.energy"),
    ),
    "static condensation": (r"^def (condense|nodal_cell)\(|^class CellLayout", ("solvers.substructuring.",)),
    "loads, from functions and moments to load vectors": (
        r"\b(mass_apply|apply_mass)\(",
        # besides: mass matrices themselves, of norms, of cells, of reaction terms, of the LOD's correctors, of fluxes
        (
            "solvers.load", "solvers.mass", "solvers.recovery", "solvers.q1", "solvers.stencil", "solvers.norms",
            "solvers.substructuring.cell", "solvers.nesting", "solvers.flux.flux", "reading",
            "comparison.methods.interpolation",
        ),
    ),
    "boundary conditions": (r"^class (Space|TensorGrid|Nesting)\b", ("solvers.space", "solvers.nesting")),
}  # fmt: skip


def modules():
    for prefix, root in ROOTS.items():
        for path in root.rglob("*.py"):
            relative = path.relative_to(root).with_suffix("")
            if prefix == "" and relative.parts[0] in ("solvers", "training"):
                continue
            yield prefix + ".".join(relative.parts).removesuffix(".__init__").replace("__init__", ""), path


def layer(name):
    """Number of the layer whose longest member is a prefix of the module's name."""
    matches = [
        (len(member), k)
        for k, members in enumerate(LAYERS)
        for member in members
        if name == member or name.startswith(member + ".")
    ]
    return max(matches)[1] if matches else None


def imports(name, path):
    """Names inside the package imported by a module, at any depth."""
    package = name.split(".")[:-1] if path.name != "__init__.py" else name.split(".")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            stem = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                yield ".".join([*stem, alias.name]) if not node.module else ".".join(stem)


def test_imports_run_one_way():
    wrong = []
    for name, path in modules():
        mine = layer(name)
        assert mine is not None or name == "", f"{name} has no place in LAYERS"
        for other in imports(name, path):
            theirs = layer(other)
            if theirs is not None and theirs > mine:
                wrong.append(f"{name} imports {other}")
    assert not wrong, wrong


def test_ngsolve_is_behind_one_door():
    for name, path in modules():
        if not name.startswith(DOOR):
            assert not re.search(r"^\s*(import|from) (ngsolve|netgen)", path.read_text(), re.M), name


def test_text_is_written_as_utf8_everywhere():
    """Tables have "²" and "ε", which the encoding of some systems lacks."""
    for name, path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "write_text":
                assert "encoding" in [k.arg for k in node.keywords], f"{name}: line {node.lineno}"


@pytest.mark.parametrize("concept", OWNERS)
def test_every_concept_has_one_owner(concept):
    pattern, owners = OWNERS[concept]
    there = [name for name, path in modules() if re.search(pattern, path.read_text(), re.M)]
    assert there
    assert not [name for name in there if not any(name == o or (o[-1] == "." and name.startswith(o)) for o in owners)]


def test_networks_know_no_solver():
    """Of the solvers they see grids, media, transfers, element matrices, safe products, kernels on plain arrays."""
    allowed = {f"solvers.{m}" for m in ("linalg", "medium", "positions", "q1", "space", "stencil", "transfer")}
    allowed |= {"solvers.backend", "solvers.kernels", "solvers.kernels.decode", "solvers.kernels.workers"}
    for name, path in modules():
        if name.startswith("networks"):
            of_solvers = {other for other in imports(name, path) if other.startswith("solvers")}
            assert of_solvers <= allowed, (name, of_solvers - allowed)
            assert "scipy" not in path.read_text().replace("scipy.special", ""), name


def test_no_batched_products_outside_linalg():
    """ngsolve's OpenBLAS makes torch.bmm crash (solvers/linalg.py)."""
    for name, path in modules():
        if name != "solvers.linalg":
            assert not re.search(r"torch\.(bmm|einsum|baddbmm|matmul)\(", path.read_text()), name


def test_batched_product_after_ngsolve_does_not_crash():
    code = (
        "import ngsolve, torch\nfrom ngs_nhcsr.solvers.linalg import apply_x, apply_y, batched\n"
        "a, b = torch.rand(6, 49, 24), torch.rand(6, 24, 32)\n"
        "expected = torch.stack([x @ y for x, y in zip(a, b)])\n"
        "torch.testing.assert_close(batched(a, b), expected)\n"
        "torch.testing.assert_close(apply_x(b[0].T, a), torch.stack([x @ b[0] for x in a]))\n"
        "torch.testing.assert_close(apply_y(a[0], b), torch.stack([a[0] @ y for y in b]))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_import_is_light_and_without_side_effects():
    code = (
        "import sys, time, ngsolve\nbefore = set(sys.modules)\nstart = time.process_time()\nimport ngs_nhcsr\n"
        "seconds = time.process_time() - start\n"
        "heavy = {'torch', 'pyvista', 'matplotlib', 'scipy'} & (set(sys.modules) - before)\n"
        "assert not heavy, heavy\nassert seconds < 0.05, seconds\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_public_names_exist_and_are_documented():
    for name in ngs_nhcsr.__all__:
        value = getattr(ngs_nhcsr, name)
        assert name == "__version__" or value.__doc__, name


def test_library_neither_prints_nor_asserts():
    for name, path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            assert not isinstance(node, ast.Assert), f"assert in {name}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"print in {name}"
            assert not (isinstance(node, ast.ExceptHandler) and node.type is None), f"bare except in {name}"


def test_files_stay_readable():
    for name, path in modules():
        assert len(path.read_text().splitlines()) <= 350, name


def all_modules():
    for package in (ngs_nhcsr, ngs_nhcsr.solvers, ngs_nhcsr.training):
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            yield info.name


@pytest.mark.parametrize("name", sorted(set(all_modules()) - {"ngs_nhcsr.cli.__main__", "ngs_nhcsr.cli.app"}))
def test_docstring_examples(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def cli(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "ngs_nhcsr.cli", *arguments], capture_output=True, text=True, cwd=cwd, env=os.environ
    )


def test_demo_command(tmp_path):
    result = cli("demo", "--n", "16", "--scale", "8", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "corrected by basis-hybrid" in result.stdout
    bounds = re.findall(r"≤ (\S+) │", result.stdout)  # of target "pde", both calls
    assert len(bounds) == 2
    assert 0 < float(bounds[0]) < 0.01
    assert f"relative energy error at most {bounds[0]}, guaranteed" in " ".join(result.stdout.split())
    assert (tmp_path / "demo.png").stat().st_size > 10_000


def test_models_and_doctor_commands():
    assert "basis-hybrid" in cli("models").stdout
    result = cli("doctor")
    assert result.returncode == 0, result.stderr
    assert "SHA-256 matches" in result.stdout


def test_wrong_arguments_are_one_line_not_a_traceback():
    for arguments in (("demo", "--family", "sand"), ("demo", "--model", "x"), ("train", "--config", "huge")):
        result = cli(*arguments)
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
        assert "error:" in result.stderr
