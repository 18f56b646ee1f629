"""The command line as a whole: help, exit codes, files that are there already, and how it looks on a terminal."""

import re

import pytest

from ngs_nhcsr.cli import app as cli


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
        (("compare", "--all", "--methods", "nhcsr"), "exclude each other"),
        (("compare", "--methods", "magic"), "no method called 'magic'"),
        (("bench", "--picture", "none/u.png"), "there is no folder none"),
        (("models", "--save", "none/u.md"), "none/u.md: No such file"),
        (("revalidate", "none.json"), "none.json: No such file"),
    ],
)
def test_mistakes_are_found_before_the_work_and_told_in_one_line(run, tmp_path, arguments, message):
    (tmp_path / "demo.png").write_text("mine")
    code, said, err = run(*arguments)
    assert (code, said) == (1, "")
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
