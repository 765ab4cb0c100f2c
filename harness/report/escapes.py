"""Text from outside (titles, names, paths, reasons), made fit for a terminal and for Markdown."""

from __future__ import annotations

import html
import re

MARKDOWN = "github"
"""The one of tabulate's styles that is Markdown."""

# what starts markup or ends a table's cell; an entity is shown as the character and starts nothing
_MARKUP = {ord(sign): f"&#{ord(sign)};" for sign in "\\`*|~$"}
# between letters or digits an underscore is text, and brackets are a link only before an address
_MARKUP_BY_PLACE = re.compile(r"(?<![^\W_])_|_(?![^\W_])|(?<=\])\(")
_ENDS_CODE = re.compile(r"[`|]")


def printable(text: str) -> str:
    r"""Return text that is safe on a terminal: one line, no control or invisible characters.

    Examples
    --------
    >>> print(printable("red \x1b[31m and a\nnew line"))
    red \x1b[31m and a new line
    """
    return "".join(
        sign
        if sign.isprintable()
        else " "
        if sign.isspace()
        else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )


def escaped(text: str) -> str:
    """Return text as Markdown that shows it: no HTML, no markup, one cell of a table.

    Examples
    --------
    >>> escaped("<script> a|b"), escaped("`x` in x86_64"), escaped("[0.1, 0.2]")
    ('&lt;script&gt; a&#124;b', '&#96;x&#96; in x86_64', '[0.1, 0.2]')
    """
    plain = html.escape(printable(text).strip(), quote=False)
    return _MARKUP_BY_PLACE.sub(_entity, plain.translate(_MARKUP))


def code(text: str) -> str:
    """Return text as a Markdown code span, or escaped where it could end the span or its cell.

    Examples
    --------
    >>> code("pytest benchmarks/"), code("a`b")
    ('`pytest benchmarks/`', 'a&#96;b')
    """
    shown = printable(text).strip()
    return escaped(text) if not shown or _ENDS_CODE.search(shown) else f"`{shown}`"


def cell(text: str, style: str) -> str:
    """Return text as a cell of a table in one of tabulate's styles."""
    return escaped(text) if style == MARKDOWN else printable(text)


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"
