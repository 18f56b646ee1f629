"""Read this project's docstrings: numpy sections that say in words what others put into types.

``name : text`` of a parameter, attribute, returned value or error has its text where napoleon expects a type. These
sections are turned into field lists here; the others are left to napoleon.
"""

import re

#: Section -> what an entry of it is in a field list.
FIELDS = {
    "Parameters": "param",
    "Attributes": "ivar",
    "Returns": "returns",
    "Yields": "yields",
    "Raises": "raises",
}


def process(app, what, name, obj, options, lines):
    """Rewrite the lines of a docstring in place; a listener of ``autodoc-process-docstring``."""
    lines[:] = rewritten(lines)


def rewritten(lines):
    """Lines of a docstring with field lists for the sections named in ``FIELDS``."""
    made = []
    for title, body in sections(lines):
        field = FIELDS.get(title)
        if title == "Examples":
            made += [title, "-" * len(title), *body]
            continue
        body = escaped("\n".join(body)).split("\n")
        if field is None:
            made += [title, "-" * len(title), *body] if title else body
        elif field in ("returns", "yields"):
            made += [f":{field}: {returned(entries(body))}", ""]
        else:
            for first, *rest in entries(body):
                names, _, text = first.partition(" : ")
                made += [f":{field} {names}: {text}", *(f"    {line}" for line in rest)]
            made.append("")
    return made


def escaped(text):
    """A text whose bars and stars outside of literals and formulas are norms and arguments, no markup."""
    return re.sub(r"(?s)``.*?``|`[^`]*`|[|*]", lambda match: match[0] if match[0][0] == "`" else "\\" + match[0], text)


def sections(lines):
    """Titles and bodies of the sections; the first title is empty."""
    starts = [k for k in range(1, len(lines)) if re.fullmatch("-{3,}", lines[k]) and len(lines[k]) == len(lines[k - 1])]
    ends = [*(k - 1 for k in starts), len(lines)]
    yield "", lines[: ends[0]]
    for start, end in zip(starts, ends[1:], strict=True):
        yield lines[start - 1], lines[start + 1 : end]


def entries(body):
    """Entries of a section: a line and what is indented below it."""
    found = []
    for line in body:
        if line.startswith(" ") and found:
            found[-1].append(line.strip())
        elif line.strip():
            found.append([line.strip()])
    return found


def returned(found):
    """One text: sentences in a row, or names and types with theirs."""
    if any(len(entry) > 1 for entry in found):
        return "; ".join(f"{first.replace(' : ', ', ')} – {' '.join(rest)}" for first, *rest in found)
    return " ".join(first for (first,) in found)
