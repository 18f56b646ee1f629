"""Sphinx: the documentation as a site.

pip install -c constraints.txt -e ".[docs]" && sphinx-build -W --keep-going docs docs/_build/html
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for the modules beside this one

import docstrings

from ngs_nhcsr import __version__

project = "ngs_nhcsr"
author = "The ngs_nhcsr developers"
copyright = author
version = release = __version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "commands", "mathml", "notebooks"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # links to headings, as the usual hosts make them

nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # seconds of a cell; the first use compiles kernels

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say types, shapes and ranges in words
napoleon_google_docstring = False
add_module_names = False

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"ngs_nhcsr {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]

#: Pages that commands write, tables without a heading.
TITLES = {
    "pde/beyond": "Errors against the PDE: all rows",
    "pde/evidence": "Evidence of the PDE target: all checks",
    "paper/table1": "Table I: all metrics",
    "paper/table2": "Table II: all metrics",
    "paper/table3": "Table III: all metrics",
    "paper/midi": "Table I, 4,000 steps: all metrics",
    "paper/midi-table2": "Table II, 4,000 steps: all metrics",
    "paper/midi-table3": "Table III, 4,000 steps: all metrics",
    "paper/midi-conditional": "Conditional ablation, 4,000 steps: all metrics",
    "paper/conditional": "Conditional ablation: all metrics",
    "paper/curves": "Validation curves",
    "paper/resolution": "Errors against the resolution",
}


def add_title(app, name, source):
    """Put a heading over what a command wrote."""
    if name in TITLES:
        source[0] = f"# {TITLES[name]}\n\n{source[0]}"


def setup(app):
    """Connect what reads pages and docstrings."""
    app.connect("source-read", add_title)
    app.connect("autodoc-process-docstring", docstrings.process, priority=400)  # before napoleon
