"""Records over time, and two records side by side: documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from isoalign.calibration import CalibrationRecord, KeptRecord, figures
from isoalign.reports.data_tables import columns_table
from isoalign.reports.document import Block, Document, Grid, Heading, Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def history_document(kept: Sequence[KeptRecord], shown: Sequence[str]) -> Document:
    """Records of one kind over time: which can be used, and how their figures went."""
    kind = kept[-1].record.kind
    usable = sum(not one.refused for one in kept)
    blocks: list[Block] = [
        Grid(
            ["measured", "valid to", "file", "usable now"],
            [
                [
                    f"{one.record.measured_at:%Y-%m-%d %H:%M}",
                    f"{one.record.valid_until:%Y-%m-%d}",
                    one.file.name,
                    one.refused or "yes",
                ]
                for one in kept
            ],
        ),
        Heading("Figures"),
        Grid(
            ["measured", *shown],
            [[f"{one.record.measured_at:%Y-%m-%d %H:%M}", *_shown(figures(one.record), shown)] for one in kept],
        ),
    ]
    blocks += [Plot(_trend(kept, name), f"{name} over time", 55.0) for name in shown]
    verdict = f"{usable} of {len(kept)} records can be used now."
    return Document(f"History: {kind}", f"{len(kept)} records", verdict, usable > 0, blocks)


def history_table(kept: Sequence[KeptRecord]) -> Any:
    """One row for each record and figure, as a pyarrow table."""
    rows = [
        (one.record.measured_at, one.file.name, not one.refused, name, value)
        for one in kept
        for name, value in figures(one.record).items()
    ]
    names = ("measured_at", "file", "usable", "figure", "value")
    return columns_table({name: [row[place] for row in rows] for place, name in enumerate(names)})


def comparison_document(
    old: CalibrationRecord, new: CalibrationRecord, changed: Mapping[str, tuple[float | None, float | None]]
) -> Document:
    """What changed from one record to another."""
    rows = [[name, *_three(before, after)] for name, (before, after) in changed.items()]
    return Document(
        f"Comparison: {new.kind}",
        f"from {old.measured_at:%Y-%m-%d %H:%M %Z} to {new.measured_at:%Y-%m-%d %H:%M %Z}",
        f"{len(rows)} figures compared.",
        good=True,
        blocks=[Grid(["figure", "old", "new", "change"], rows)],
    )


def _three(before: float | None, after: float | None) -> tuple[str, str, str]:
    change = "–" if before is None or after is None else f"{after - before:+.4g}"
    return _number(before), _number(after), change


def _number(value: float | None) -> str:
    return "not available" if value is None else f"{value:.4g}"


def _shown(found: Mapping[str, float], names: Sequence[str]) -> list[str]:
    return [_number(found.get(name)) for name in names]


def _trend(kept: Sequence[KeptRecord], name: str) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        points = [(one, figures(one.record).get(name)) for one in kept]
        told = [(one, value) for one, value in points if value is not None]
        moments: list[Any] = [one.record.measured_at for one, _ in told]
        axes.plot(moments, [value for _, value in told], color="#1b5fa8", linewidth=0.8)
        for one, value in told:
            when: Any = one.record.measured_at
            axes.plot(when, value, "x" if one.refused else "o", color="#b3261e" if one.refused else "#1b5fa8")
        axes.set_ylabel(name)
        axes.tick_params(axis="x", labelrotation=20)

    return draw
