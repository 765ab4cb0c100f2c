"""Cells of CSV files: text that no spreadsheet takes for a formula, and that comes back exactly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

MARK = "'"
"""Stands before a text that a spreadsheet would run; a spreadsheet shows what follows as text."""

# Tab, CR, LF and the four signs as the OWASP Foundation lists them ("CSV Injection"); NUL as its
# verification standard has it (ASVS 5.0, 1.2.10). To be on the safe side, also signs of full width
# and signs after blanks, which a spreadsheet may drop. The mark itself: it must come back too.
_GUARDED = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n\0']")  # noqa: RUF001 - full width is meant
# semicolon and tab, because a spreadsheet may be set to take one of them for the separator
_QUOTED = re.compile(r'[,;\t"\r\n]')


def guard(text: str) -> str:
    """Return ``text`` as a cell that is shown and not run; :func:`unguard` takes it back.

    Examples
    --------
    >>> guard("=1+1"), guard("'quoted'"), guard("seq-1")
    ("'=1+1", "''quoted'", 'seq-1')
    """
    return MARK + text if _GUARDED.match(text) else text


def unguard(cell: str) -> str:
    """Return the text that :func:`guard` was given.

    Examples
    --------
    >>> unguard("'=1+1"), unguard("''quoted'"), unguard("seq-1")
    ('=1+1', "'quoted'", 'seq-1')
    """
    return cell.removeprefix(MARK)


def line(values: Iterable[str | float | None]) -> str:
    r"""Return one line of CSV (RFC 4180, but ended by LF alone): text guarded, numbers as they are.

    None is an empty cell. A float has the digits that bring it back exactly. ``csv.writer`` would
    not do: that of Python 3.11 leaves a lone CR unquoted, and no reader takes it back.

    Parameters
    ----------
    values
        Two or more; a lone empty cell would make a blank line.

    Examples
    --------
    >>> line(["=a,b", -1, 0.5, None])
    '"\'=a,b",-1,0.5,\n'
    """
    return ",".join(map(_cell, values)) + "\n"


def table(rows: Sequence[Mapping[str, str | float | None]]) -> str:
    r"""Return rows of the same columns, at least one, as CSV with a title line.

    Examples
    --------
    >>> table([{"a": 1, "b": "x"}, {"a": 2, "b": None}])
    'a,b\n1,x\n2,\n'
    """
    return line(rows[0]) + "".join(line(row.values()) for row in rows)


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value)
    text = guard(value)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
