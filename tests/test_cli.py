"""The command line as a whole: help, exit codes, files that are there already, and how it looks on a terminal."""

import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ngs_nhcsr
from ngs_nhcsr.cli import app as cli
from ngs_nhcsr.cli import interrupts
from ngs_nhcsr.cli import progress as cli_progress
from ngs_nhcsr.cli.progress import progress
from ngs_nhcsr.errors import DependencyMissing, InvalidProblem, SolverFailure, UntrustedResult


def test_help_lists_commands_by_use(run):
    code, said, _ = run("--help")
    assert code == 0
    use, develop = (said.index(f"─ {panel} ─") for panel in ("Use", "Develop"))
    order = [said.index(f"│ {name} ") for name in ("correct", "doctor", "evaluate", "revalidate")]
    assert use < order[0] < order[1] < develop < order[2] < order[3]


@pytest.mark.parametrize("arguments", [("-v", "models"), ("models", "-v"), ("models", "--verbose")])
def test_verbose_stands_anywhere(run, arguments):
    assert run(*arguments)[0] == 0


def test_the_table_of_compare_fits_a_terminal(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    names = "prolongation-own,lod2-weighted,multigrid"
    code, said, err = run("compare", "--n", "4", "--scale", "4", "--methods", names)
    assert code == 0
    assert not err  # no progress in a pipe
    assert max(map(len, said.splitlines())) <= 80
    for name in names.split(","):
        assert re.search(rf"^ *{name}  +\d", said, re.M)
        assert f"{name}: " in said


def test_ten_methods_unless_all_are_asked_for(run, monkeypatch):
    from ngs_nhcsr import comparison
    from ngs_nhcsr.cli.compare import DEFAULT

    asked = []

    def compare(*_, methods, **__):
        asked.append(methods)
        raise ValueError("enough")

    monkeypatch.setattr(comparison, "compare", compare)
    run("compare", "--n", "4", "--scale", "4")
    run("compare", "--n", "4", "--scale", "4", "--all")
    assert asked == [list(DEFAULT), None]
    assert len(DEFAULT) == 10
    assert set(DEFAULT) <= set(comparison.methods.in_order(("fine",)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("demo",), "demo.png exists already"),
        (("demo", "--picture", "u.bmp"), "choose among .png, .html"),
        (("demo", "--scale", "7", "--picture", "u.png"), "take a scale of 4, 8, 12"),
        (("compare", "--picture", "none/u.png"), "there is no folder none"),
        (("compare", "--picture", "demo.png"), "demo.png exists already"),
        (("compare", "--json", "u.png"), "choose among .json"),
        (("compare", "--all", "--methods", "network"), "exclude each other"),
        (("compare", "--methods", "magic"), "no method called 'magic'"),
        (("bench", "--picture", "none/u.png"), "there is no folder none"),
        (("models", "--save", "none/u.md"), "none/u.md: No such file"),
        (("revalidate", "none.json"), "none.json: No such file"),
        (("ablation", "--only", "magic"), "no row is called 'magic'"),
        (("reproduce", "table1", "--only", "magic"), "no row is called 'magic'"),
        (("reproduce", "table1", "--finished", "--cells", "none"), "there is no folder none"),
    ],
)
def test_mistakes_are_found_before_the_work_and_told_in_one_line(run, tmp_path, arguments, message):
    (tmp_path / "demo.png").write_text("mine")
    code, said, err = run(*arguments)
    assert (code, said) == (2, "")
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert (tmp_path / "demo.png").read_text() == "mine"


@pytest.mark.parametrize("arguments", [("nothing",), ("compare", "--nothing"), ("demo", "--n", "none")])
def test_wrong_words_are_errors_of_usage(run, arguments):
    assert run(*arguments)[0] == 2


def test_failures_of_the_system_are_no_traceback(monkeypatch, capsys):
    monkeypatch.setattr(cli, "app", lambda: (_ for _ in ()).throw(OSError("the disk is full")))
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    assert capsys.readouterr().err == "error: the disk is full\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("correct", "none.png", "--values", "1,10"),
        ("correct", "two.png", "--values", "1,10", "--bc", "up=0"),
        ("correct", "two.png", "--values", "one,two"),
        ("correct", "two.png", "--values", "1,10", "--out", "two.vtu"),
        ("correct", "two.png", "--values", "1,10", "--target", "fine", "--model", "magic"),
        ("correct", "two.png", "--values", "1,10", "--target", "fine", "--device", "abacus"),
        ("effective", "two.png", "--values", "1,1e9"),
        ("effective", "two.png", "--boundary", "open"),
        ("demo", "--family", "sand"),
        ("demo", "--model", "magic"),
        ("compare", "--family", "sand"),
        ("bench", "--effort", "none"),
        *((command, "--help") for command in ("correct", "effective", "demo", "compare", "bench", "train")),
    ],
)
def test_mistakes_and_help_need_nothing_that_takes_long_to_import(tmp_path, arguments):
    Image.fromarray(np.uint8([[0, 255]])).save(tmp_path / "two.png")
    (tmp_path / "two.vtu").write_text("mine")
    code = (
        "import sys\nfrom ngs_nhcsr.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    heavy = {'torch', 'scipy', 'numba', 'ngsolve', 'pyvista', 'matplotlib'} & set(sys.modules)\n"
        "    print('heavy:', *heavy)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == (0 if "--help" in arguments else 2), done.stderr
    assert done.stdout.splitlines()[-1] == "heavy:"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidProblem("no"), 2),
        (FileNotFoundError(2, "No such file", "u"), 2),
        (SolverFailure("no"), 1),
        (DependencyMissing("no"), 1),
        (OSError(28, "No space left on device", "u"), 1),
        (MemoryError(), 1),
        (UntrustedResult("no"), 1),
    ],
)
def test_exit_codes_tell_whose_fault_it_was(monkeypatch, capsys, error, code):
    def fail():
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == code
    assert re.fullmatch(r"error: [^\n]+\n", capsys.readouterr().err)


def test_an_interrupted_compilation_is_an_interrupt(monkeypatch, capsys):
    def stop_numba():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("no compiled object yet") from error  # as numba.core.codegen does

    monkeypatch.setattr(cli, "app", stop_numba)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 130
    assert capsys.readouterr().err == ""


def test_an_interrupt_that_was_lost_comes_again(monkeypatch):
    """As in a callback from LLVM, of which Python forgets the exception."""

    class Deaf:
        def __del__(self):
            raise KeyboardInterrupt

    def work():
        Deaf()
        for _ in range(1000):
            time.sleep(0.02)

    monkeypatch.setattr(cli, "app", work)
    hook, start = sys.unraisablehook, time.perf_counter()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        with pytest.raises((SystemExit, KeyboardInterrupt)):
            cli.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.perf_counter() - start < 10
    assert sys.unraisablehook is hook


def test_what_fails_by_an_interrupt_that_was_lost_is_one(monkeypatch):
    class Deaf:
        def __del__(self):
            raise KeyboardInterrupt

    def work():
        Deaf()
        raise RuntimeError("no compiled object yet")

    monkeypatch.setattr(cli, "app", work)
    monkeypatch.setattr(interrupts, "AGAIN", 1e6)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 130


def test_a_missing_package_is_one_line(monkeypatch, capsys):
    def fail(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(cli, "app", lambda: fail("torch.nn"))
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    assert capsys.readouterr().err.startswith("error: torch is not installed")
    monkeypatch.setattr(cli, "app", lambda: fail("ngs_nhcsr.nothing"))
    with pytest.raises(SystemExit):
        cli.main()
    assert "this installation lacks ngs_nhcsr.nothing" in capsys.readouterr().err


def test_a_clone_without_installation_finds_its_parts():
    code = "import importlib.util as u; print(u.find_spec('ngs_nhcsr.solvers') is not None)"
    root = Path(ngs_nhcsr.__file__).parent.parent
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout == "True\n", done.stderr


def test_a_pipe_is_told_of_compiling_and_of_nothing_else(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    monkeypatch.setattr(cli_progress, "SILENT", 0.05)
    log = logging.getLogger("ngs_nhcsr.solvers")
    with progress("loading"):
        for message in ("loading compiled kernels", "cell problem 1", "loading more kernels"):
            log.info(message)
        time.sleep(0.3)
        log.warning("careful")
    assert capsys.readouterr().err == "loading more kernels\ncareful\n"


def test_a_terminal_that_lacks_a_symbol_is_no_failure():
    code = "from ngs_nhcsr.cli import app\napp.app = lambda: app.typer.echo('grey 0 → 1')\napp.main()"
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == b"grey 0 ? 1"


def test_progress_is_told_on_a_terminal_only(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    log = logging.getLogger("ngs_nhcsr.solvers")
    with progress("loading"):
        log.info("cell problem [1] of 4")
        time.sleep(0.3)
    assert "cell problem [1] of 4" in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    with progress("loading"):
        log.info("cell problem [1] of 4")
    assert capsys.readouterr().err == ""
