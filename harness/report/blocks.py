"""What a report is made of: sections of notes, tables, pictures, matrices and folded parts.

The sections know nothing of HTML or Markdown, and the page knows nothing of comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.evidence import Decision


@dataclass(frozen=True, slots=True)
class Note:
    """A paragraph."""

    kind: ClassVar[str] = "note"

    text: str


@dataclass(frozen=True, slots=True)
class Missing:
    """What stands where nothing was measured, and why."""

    kind: ClassVar[str] = "missing"

    why: str

    @property
    def sentence(self) -> str:
        """Say so in words."""
        return f"Not measured in this run: {self.why}"


@dataclass(frozen=True, slots=True)
class Commands:
    """Lines to type."""

    kind: ClassVar[str] = "commands"

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Lines of cells; the first ``words`` columns hold words, all others figures.

    A cell that is a :class:`~harness.evidence.Decision` is shown with its sign and colour.
    """

    kind: ClassVar[str] = "table"

    caption: str
    header: tuple[str, ...]
    lines: tuple[tuple[str | Decision, ...], ...]
    words: int = 1
    long: bool = False

    def is_word(self, column: int) -> bool:
        """Tell whether a column holds words."""
        return self.long or column < self.words


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG text with a name of its own, a title, and what it shows in words."""

    kind: ClassVar[str] = "picture"

    name: str
    title: str
    description: str
    svg: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a confusion matrix; ``share`` of its class shades it."""

    name: str
    count: str
    share: float
    right: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    """A confusion matrix: one line for each class, one field for each call."""

    kind: ClassVar[str] = "matrix"

    title: str
    lines: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True, slots=True)
class Side:
    """Blocks that stand side by side where there is room."""

    kind: ClassVar[str] = "side"

    blocks: tuple[Picture | Matrix, ...]


@dataclass(frozen=True, slots=True)
class Folded:
    """Blocks that open on demand."""

    kind: ClassVar[str] = "folded"

    summary: str
    blocks: tuple[Note | Table, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """What the next blocks are about, below the title of a section."""

    kind: ClassVar[str] = "heading"

    text: str


Block = Note | Missing | Commands | Table | Picture | Matrix | Side | Folded | Heading


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of the page; ``name`` is its anchor."""

    name: str
    title: str
    blocks: tuple[Block, ...]
