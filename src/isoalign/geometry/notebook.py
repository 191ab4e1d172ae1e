"""Tables in HTML for notebooks: what ``_repr_html_`` of positions, poses and moves returns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def html_table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A plain table; every text is escaped."""
    head = "".join(f"<th>{escape(text)}</th>" for text in header)
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align:{_side(text)}">{escape(text)}</td>' for text in row) + "</tr>"
        for row in rows
    )
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _side(text: str) -> str:
    return "right" if text[:1] in "+-−0123456789" and text else "left"
