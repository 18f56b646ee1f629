"""Every hard input of users as one table: what was said, what was estimated, and the true energy error.

    python examples/hostile_inputs.py                      # the names of all cases
    python examples/hostile_inputs.py --all --into table.md
    python examples/hostile_inputs.py --only "box load" --only scale

Truth is NGSolve's own solution of the problem that was meant, on the fine mesh, in the energy norm of its operator;
where fine cells cut pixels, with the exact stiffness of the pixels. Verdicts:

    right     accepted, true error at most 1e-3 (and, in rows about estimates, estimated within a factor 2)
    refused   a short exception of this package
    flagged   not accepted, and the estimate within a factor 2 of the truth or both at most 1e-3; or said to be unknown
    SILENT    accepted, and the true error above 1e-3 + 3 x estimate
    CRASH     another exception
    vague     the rest

Ends with exit code 1 if a row is SILENT or a CRASH.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from hostile import Row, Setting, cases, run
from hostile.registry import BAD, VERDICTS
from rich.console import Console
from rich.table import Table

# %% How a row is shown.
COLUMNS = ("§", "case", "variant", "said", "estimate", "true error", "s", "verdict", "first words")
COLOURS = {"right": "green", "refused": "green", "flagged": "cyan", "vague": "yellow", "SILENT": "bold red"}


def number(v: float | None) -> str:
    """Write a number with two digits, a dash for none."""
    return "–" if v is None else f"{v:.1e}"


def line(row: Row, words: int) -> list[str]:
    """Make the cells of a line."""
    said = row.words if len(row.words) <= words else row.words[: words - 1] + "…"
    return [row.section, row.case, row.variant, row.said, number(row.estimate), number(row.truth),
            f"{row.seconds:.2f}", row.verdict, said.replace("|", "/")]  # fmt: skip


def markdown(rows: list[Row]) -> str:
    """Make a Markdown table with a line that counts verdicts."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---|---|---|---|---:|---:|---:|---|---|"]
    lines += [f"| {' | '.join(line(row, 90))} |" for row in rows]
    return "\n".join([*lines, "", count(rows), ""])


def count(rows: list[Row]) -> str:
    """Count verdicts."""
    found = Counter(row.verdict for row in rows)
    return f"{len(rows)} rows: " + ", ".join(f"{found[v]} {v}" for v in VERDICTS if found[v])


def write(rows: list[Row], options: argparse.Namespace) -> None:
    """Write the files that were asked for; after every case, so that a run that is stopped leaves what it has."""
    if options.into is not None:
        options.into.write_text(markdown(rows), encoding="utf-8")
    if options.json is not None:
        options.json.write_text(json.dumps([row.json() for row in rows], indent=1), encoding="utf-8")


# %% The cases that were asked for.
def main(options: argparse.Namespace) -> int:
    """Run the cases that were asked for, and print them as they come."""
    chosen = [one for name, one in cases.items() if options.all or any(part in name for part in options.only)]
    if not chosen:
        print("\n".join(f"{one.section:5}{name}" for name, one in cases.items()))
        print(f"\n{len(cases)} cases; run all of them with --all, some with --only WORDS.")
        return 1 if options.only else 0
    setting, rows = Setting(options.n, options.scale, options.seed), []
    for one in chosen:
        for row in run(one, setting):
            rows.append(row)
            print(f"{row.verdict:8} {row.case}, {row.variant}: {row.said}", file=sys.stderr, flush=True)
        write(rows, options)
    table = Table(*COLUMNS, title=f"{setting.n}² coarse cells, scale {setting.scale:g}")
    for row in rows:
        table.add_row(*line(row, 60), style=COLOURS.get(row.verdict))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    print(count(rows))
    return int(any(row.verdict in BAD for row in rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="run every case")
    parser.add_argument("--only", action="append", default=[], help="cases whose name contains this; may be repeated")
    parser.add_argument("--n", type=int, default=32, help="coarse cells a side; four pixels each")
    parser.add_argument("--scale", type=float, default=16, help="fine cells per coarse cell")
    parser.add_argument("--seed", type=int, default=7_000_000_000, help="of the media")
    parser.add_argument("--into", type=Path, help="Markdown file for the table")
    parser.add_argument("--json", type=Path, help="file for the rows with all that was said")
    sys.exit(main(parser.parse_args()))
