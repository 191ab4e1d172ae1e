"""A report as a sequence of blocks, made once and shown as a page of a PDF or on a terminal.

A document says what is shown, not how: headings, paragraphs that flow, pairs of label and value, tables, plots.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Heading:
    """Begins a section; what follows it first stays on the same page."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text that flows over lines and pages."""

    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Label and value in pairs."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of formatted texts; its head is repeated on every page that it reaches.

    Attributes
    ----------
    columns : sequence of str
        The first column is text, the others are numbers and stand to the right.
    rows : sequence of sequences of str
    caption : str
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """A diagram; left out on a terminal.

    Attributes
    ----------
    draw : callable
        Draws into the axes that it is given (matplotlib).
    caption : str
    height_mm : float
        On the page, at its full width.
    square : bool
        The same scale along both axes.
    """

    draw: Callable[[Axes], None]
    caption: str
    height_mm: float = 75.0
    square: bool = False


Block: TypeAlias = Heading | Paragraph | Facts | Grid | Plot


@dataclass(frozen=True, slots=True)
class Document:
    """A report.

    Attributes
    ----------
    title, subtitle : str
    verdict : str
        In one sentence.
    good : bool
        Whether the verdict is a good one.
    blocks : sequence of Block
    """

    title: str
    subtitle: str
    verdict: str
    good: bool
    blocks: Sequence[Block]
