"""The directive ``commands``: the command line's commands with their options, from the program itself."""

import typer
from sphinx.util.docutils import SphinxDirective

from ngs_nhcsr.cli.app import app


class Commands(SphinxDirective):
    """Usage and options of the commands named in its lines."""

    has_content = True

    def run(self):
        """Parse the Markdown of each command."""
        commands = typer.main.get_command(app).commands
        return [node for name in self.content for node in self.parse_text_to_nodes(text(name, commands[name]))]


def text(name, command):
    """Markdown of one command: what it does, a table of arguments and options."""
    rows = ["| option | default | meaning |", "|---|---|---|"]
    for parameter in command.params:
        names = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
        if parameter.param_type_name == "argument":
            names = f"`{parameter.metavar or parameter.name.upper()}`"
        default = parameter.default
        shown = "" if default in (None, False) or callable(default) else f"`{default}`"
        rows.append(f"| {names} | {shown} | {parameter.help or ''} |")
    usage = f"`ngs-nhcsr {name}`: {command.help.strip()}"
    return "\n\n".join((usage, "\n".join(rows)))


def setup(app):
    """Register the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True}
