"""Guide pages that are executed: their blocks become cells of a notebook, with what these print and draw below.

The pages stay plain Markdown, which any viewer of the repository shows and ``tests/test_guide.py`` runs; myst-nb gets
them as it wants them.
"""

import logging
import os
import re
import sys
from functools import partial
from pathlib import Path

#: Pages that are executed.
EXECUTED = ("guide/first-steps", "guide/choosing", "guide/images", "guide/loads")
#: A block of Python, or of commands that take a second, with the text that it prints, which the cell prints itself.
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```\n(?:\n```text\n.*?^```\n)?", re.M | re.S)
CHEAP = ("ngs-nhcsr correct ", "ngs-nhcsr effective ")
HEAD = "---\nfile_format: mystnb\nkernelspec: {name: python3}\n---\n"


def to_cells(app, name, source):
    """Make a page a notebook; a listener of ``source-read``."""
    if name not in EXECUTED:
        return
    page = Path(name).name
    title, line, text = source[0].partition("\n")
    note = f"\n*Executed when this page was built; the same as a notebook:* {{nb-download}}`{page}.ipynb`\n"
    source[0] = HEAD + title + line + note + BLOCK.sub(to_cell, text)


def to_cell(found):
    """Write one block as a cell; commands that take long, as they are."""
    language, code = found[1], found[2]
    if language == "python":
        return f"```{{code-cell}}\n{code}```\n"
    return f"```{{code-cell}}\n%%sh\n{code}```\n" if code.startswith(CHEAP) else found[0]


def setup(app):
    """Execute the pages with the Python that builds the site, each in an empty folder."""
    from jupyter_cache.executors import utils  # here, since tests read pages without it

    app.setup_extension("myst_nb")
    # Its own merging of what a cell prints ends a line wherever the stream was cut.
    utils.executenb = partial(utils.executenb, coalesce_streams=True, extra_arguments=["--log-level=ERROR"])
    logging.getLogger("traitlets").setLevel(logging.WARNING)
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    app.connect("source-read", to_cells)
    return {"parallel_read_safe": True}
