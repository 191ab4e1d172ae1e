"""IEC 61217 and Isocentric Standard as pictures, and the signs of imagers. Positions come from isoalign.geometry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from figures.conventions import ACCENT, COLOURS, GHOST, INK, SOFT, TABLE, Points, arrow, canvas, save
from isoalign.geometry import (
    Fixed,
    Pose,
    Representation,
    TableTop,
    TableTopPosition,
    fixed_from_gantry,
    fixed_from_table,
)

IEC, ISO = Representation.IEC_61217, Representation.ISOCENTRIC_STANDARD
TITLES = {
    IEC: "IEC 61217: shift along level axes,\nthen tilt about the table-top origin",
    ISO: "Isocentric Standard: tilt about the isocentre,\nthen shift along the tilted axes",
}
WORDS = {"lateral": "Lat", "longitudinal": "Lng", "vertical": "Vrt"}
WRONG = "#c0392b"

PITCHED = TableTopPosition(ISO, 0.0, 600.0, -250.0, pitch_deg=12.0)
ROLLED = TableTopPosition(ISO, -220.0, 0.0, -250.0, roll_deg=12.0)
LEVEL = TableTopPosition(IEC, 0.0, 900.0, -150.0)
PITCH_DEG = 3.0
NOTE = TableTopPosition(IEC, 0.0, 100.0, 0.0)
NOTE_PITCH_DEG = 5.0


def side(points: npt.ArrayLike) -> Points:
    """Seen along -X: +Y (the gantry) to the right, +Z up."""
    return np.asarray(points, dtype=np.float64)[..., [1, 2]]


def front(points: npt.ArrayLike) -> Points:
    """Seen along +Y, facing the gantry: +X to the right, +Z up."""
    return np.asarray(points, dtype=np.float64)[..., [0, 2]]


def number(value: float, digits: int = 1) -> str:
    """A signed number with a true minus sign."""
    return f"{value:+.{digits}f}".replace("-", "−")


def label(axes: Axes, at: npt.ArrayLike, text: str, colour: str, **style: object) -> None:
    """Text on a white ground, so that lines below it do not disturb."""
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85}
    axes.text(*np.asarray(at), text, **{"color": colour, "fontsize": 9.5, "bbox": box, "ha": "center", **style})


def isocentre(axes: Axes, across: float, upward: float) -> None:
    """Level lines through the isocentre and a dot."""
    axes.plot([-across, across], [0, 0], color=GHOST, lw=1, zorder=0)
    axes.plot([0, 0], [-upward, upward], color=GHOST, lw=1, zorder=0)
    axes.plot(0, 0, "o", color=INK, ms=5, zorder=5)


def draw_pitched(path: Path) -> None:
    """Side view of one pitched table, described in both representations."""
    figure, all_axes = canvas(11.6, 4.4, columns=2)
    plate = np.array([(0, -1150, 0), (0, 60, 0), (0, 60, -28), (0, -1150, -28)], dtype=np.float64)
    for axes, representation in zip(all_axes, (IEC, ISO), strict=True):
        _one_table(axes, representation, PITCHED, plate, "longitudinal", 560.0)
        axes.text(905, -520, "to the gantry →", color="#70828f", fontsize=9, ha="right", va="center")
        axes.set_xlim(-620, 910)
        axes.set_ylim(-560, 290)
    save(figure, path)


def draw_rolled(path: Path) -> None:
    """Front view of one rolled table, described in both representations."""
    figure, all_axes = canvas(11.6, 4.6, columns=2)
    plate = np.array([(-265, 0, 0), (265, 0, 0), (265, 0, -16), (-265, 0, -16)], dtype=np.float64)
    for axes, representation in zip(all_axes, (IEC, ISO), strict=True):
        _one_table(axes, representation, ROLLED, plate, "lateral", 330.0)
        axes.text(345, -378, "to your right →", color="#70828f", fontsize=9, ha="right", va="center")
        axes.set_xlim(-560, 350)
        axes.set_ylim(-400, 120)
    save(figure, path)


def _one_table(
    axes: Axes, representation: Representation, known: TableTopPosition, plate: Points, along: str, reach: float
) -> None:
    """The table, its untilted ghost, the two arrows of the translations and the turn that tilts it."""
    view, column = (side, 1) if along == "longitudinal" else (front, 0)
    position = known.in_representation(representation)
    pose = fixed_from_table(position)
    level = fixed_from_table(TableTopPosition(representation, *position.values[:3]))
    turned = np.eye(3) if representation is IEC else pose.rotation
    shift = np.where(np.arange(3) == column, position.translation_mm, 0.0)
    corner = turned @ shift
    isocentre(axes, reach * 1.05, reach * 0.35)
    if representation is ISO:
        for axis in (column, 2):
            ends = reach * np.outer((-1.0, 1.0), turned[:, axis]) * (1.0 if axis == column else 0.33)
            axes.plot(*view(ends).T, color=SOFT, lw=1, ls="--", zorder=0)
    ghost = view(level.apply(plate))
    axes.fill(*ghost.T, facecolor="none", edgecolor=SOFT, lw=1.1, ls=":")
    axes.fill(*view(pose.apply(plate)).T, facecolor=TABLE, edgecolor=TABLE, alpha=0.5)
    origin = view(pose.translation_mm)
    arrow(axes, view(np.zeros(3)), view(corner), COLOURS["XYZ"[column]])
    arrow(axes, view(corner), origin, COLOURS["Z"])
    axes.plot(*origin, "s", color=TABLE, ms=6, zorder=5)
    _turn(axes, representation, known, plate, view)
    _names(axes, representation, position, view, (corner, pose.translation_mm))
    axes.set_title(TITLES[representation], fontsize=10.5, color=INK)


def _turn(axes: Axes, representation: Representation, known: TableTopPosition, plate: Points, view: object) -> None:
    """The way of the far end of the plate from level to tilted, in this representation."""
    position = known.in_representation(representation)
    far = plate[0]
    angles = np.linspace(0.0, 1.0, 30)
    way = view(  # type: ignore[operator]
        np.array(
            [
                fixed_from_table(
                    TableTopPosition(
                        representation, *position.values[:3], position.pitch_deg * part, position.roll_deg * part
                    )
                ).apply(far)
                for part in angles
            ]
        )
    )
    axes.plot(*way.T, color=ACCENT, lw=1.8)
    arrow(axes, way[-3], way[-1], ACCENT)


def _names(
    axes: Axes, representation: Representation, position: TableTopPosition, view: object, ends: tuple[Points, Points]
) -> None:
    corner, origin = (view(point) for point in ends)  # type: ignore[operator]
    name = {IEC: "IEC", ISO: "iso"}[representation]
    pitched = position.pitch_deg != 0.0
    tilt = 0.0 if representation is IEC else position.pitch_deg or -position.roll_deg
    axis = "longitudinal" if pitched else "lateral"
    value = position.longitudinal_mm if pitched else position.lateral_mm
    lift = (42.0 if pitched else 32.0) * np.array([-np.sin(np.deg2rad(tilt)), np.cos(np.deg2rad(tilt))])
    label(
        axes,
        corner * 0.55 + lift,
        f"$\\mathrm{{{WORDS[axis]}}}_{{\\mathrm{{{name}}}}}$ {number(value)}",
        COLOURS["Y" if pitched else "X"],
        rotation=tilt,
        va="center",
    )
    label(
        axes,
        (corner + origin) / 2 + (np.array([26.0, 10.0]) if pitched else np.array([-12.0, 0.0])),
        f"$\\mathrm{{Vrt}}_{{\\mathrm{{{name}}}}}$ {number(position.vertical_mm)}",
        COLOURS["Z"],
        ha="left" if pitched else "right",
        va="center",
    )
    beside = {"ha": "right", "va": "bottom"} if pitched else {"ha": "left", "va": "top"}
    label(axes, (-14, 26) if pitched else (16, -16), "isocentre", INK, **beside)
    angle = f"pitch {number(position.pitch_deg, 0)}°" if pitched else f"roll {number(position.roll_deg, 0)}°"
    centre = "table-top origin" if representation is IEC else "isocentre"
    where = (-560.0, -520.0) if pitched else (-545.0, -378.0)
    label(axes, where, f"{angle} about the {centre}", ACCENT, ha="left", va="center")
    below = (origin[0] + 45.0, -185.0) if pitched else (origin[0] - 6.0, -278.0)
    label(axes, below, "table-top\norigin", TABLE, ha="left" if pitched else "center", va="top")


def draw_pitch_change(path: Path) -> None:
    """Pitch alone is changed: with IEC translations kept, and with isocentric translations kept."""
    figure, all_axes = canvas(11.6, 4.2, columns=2)
    kept = (
        (IEC, f"pitch +{PITCH_DEG:g}°, IEC translations kept"),
        (ISO, f"pitch +{PITCH_DEG:g}°, isocentric translations kept"),
    )
    before = fixed_from_table(LEVEL)
    point = before.inverse().apply((0.0, 0.0, 0.0))
    for axes, (representation, title) in zip(all_axes, kept, strict=True):
        values = LEVEL.in_representation(representation).values
        after = TableTopPosition(representation, *values[:3], PITCH_DEG)
        pose = fixed_from_table(after)
        isocentre(axes, 330, 150)
        _lying(axes, before, SOFT, ghost=True)
        _lying(axes, pose, TABLE, ghost=False)
        moved = pose.apply(point)
        origin = side(pose.translation_mm)
        axes.plot(*origin, "s", color=TABLE, ms=5, zorder=5)
        axes.plot(*side(moved), "D", color=WRONG if representation is IEC else TABLE, ms=5, zorder=6)
        iec = after.in_representation(IEC)
        told = f"table-top origin, IEC:\nLng {number(iec.longitudinal_mm)}\nVrt {number(iec.vertical_mm)}"
        axes.annotate(
            told, origin, (origin[0] + 30, -330), color=TABLE, fontsize=9.5, ha="center", va="top",
            arrowprops={"arrowstyle": "-", "color": SOFT},
        )  # fmt: skip
        axes.annotate(
            "isocentre", (0, 0), (-120, 190), color=INK, fontsize=9.5, ha="right",
            arrowprops={"arrowstyle": "-", "color": SOFT},
        )  # fmt: skip
        distance = float(np.linalg.norm(moved))
        words = f"the patient’s point is\n{distance:.1f} mm away" if distance > 1e-6 else "the patient’s point\nstays"
        colour = WRONG if representation is IEC else TABLE
        axes.annotate(
            words, side(moved), (60, -330), color=colour, fontsize=9.5, ha="center", va="top",
            arrowprops={"arrowstyle": "-", "color": colour},
        )  # fmt: skip
        axes.set_title(title, fontsize=10.5, color=INK)
        axes.set_xlim(-560, 1080)
        axes.set_ylim(-490, 300)
    save(figure, path)


def _lying(axes: Axes, pose: Pose[Fixed, TableTop], colour: str, *, ghost: bool) -> None:
    """Table and patient (head first supine), from the side; drawn in the table-top frame, mm."""
    plate = np.array([(0, -1440, 0), (0, 0, 0), (0, 0, -30), (0, -1440, -30)], dtype=np.float64)
    turn = np.linspace(0, 2 * np.pi, 80)
    head = np.stack([0 * turn, -230 + 120 * np.cos(turn), 105 + 95 * np.sin(turn)], axis=-1)
    trunk = np.array(
        [(-350, 50), (-350, 110), (-420, 190), (-560, 225), (-800, 210), (-950, 200), (-1150, 170), (-1440, 150)],
        dtype=np.float64,
    )
    trunk = np.vstack([trunk, [(-1440, 12), (-400, 12)]])
    trunk = np.column_stack([np.zeros(len(trunk)), trunk])
    for outline in (head, trunk):
        seen = side(pose.apply(outline)).T
        style = {"ls": ":", "facecolor": "none"} if ghost else {"facecolor": "white", "alpha": 0.75}
        axes.fill(*seen, edgecolor=colour, lw=1.1, **style)
    style = {"facecolor": "none", "ls": ":"} if ghost else {"facecolor": colour, "alpha": 0.55}
    axes.fill(*side(pose.apply(plate)).T, edgecolor=colour, lw=1.1, **style)


def draw_erratum(path: Path) -> None:
    """The example of the DICOM note: pitch, what it does to the isocentre point, and the two signs of Zt."""
    figure, rows = plt.subplots(3, 1, figsize=(8.4, 7.6))
    point = fixed_from_table(NOTE).inverse().apply((0.0, 0.0, 0.0))
    uncorrected = TableTopPosition(IEC, *NOTE.values[:3], NOTE_PITCH_DEG)
    held = TableTopPosition(ISO, *NOTE.values[:3], NOTE_PITCH_DEG).in_representation(IEC)
    opposite = TableTopPosition(IEC, held.lateral_mm, held.longitudinal_mm, -held.vertical_mm, NOTE_PITCH_DEG)
    panels = (
        ("1. pitch +5°, nothing compensated: the point goes down", uncorrected, ACCENT),
        ("2. compensated by the definition: Zt is positive, the point is back", held, TABLE),
        ("3. the sign of the example: Zt is negative, the point is twice as far off", opposite, WRONG),
    )
    for axes, (title, position, colour) in zip(rows, panels, strict=True):
        axes.set_aspect("equal")
        axes.axis("off")
        pose = fixed_from_table(position)
        isocentre(axes, 46, 20)
        for where, tint, hidden in ((fixed_from_table(NOTE), SOFT, True), (pose, TABLE, False)):
            plate = side(where.apply([(0, -132, 0), (0, 22, 0), (0, 22, -2.2), (0, -132, -2.2)]))
            style = {"facecolor": "none", "ls": ":"} if hidden else {"facecolor": TABLE, "alpha": 0.5}
            axes.fill(*plate.T, edgecolor=tint, lw=1.1, **style)
        axes.plot(0, 0, "o", color=INK, ms=5, zorder=7)
        moved = side(pose.apply(point))
        axes.plot(*moved, "D", color=colour, ms=6, zorder=6)
        origin = side(pose.translation_mm)
        axes.plot(*origin, "s", color=TABLE, ms=6, zorder=6)
        label(axes, (3, 9), "isocentre", INK, ha="left", va="bottom")
        label(
            axes,
            (-4, -26.5),
            f"point of the table: Y {number(moved[0], 3)}, Z {number(moved[1], 3)} mm".replace("+0.000", "0")
            .replace("−0.000", "0"),
            colour,
            ha="right",
            va="center",
        )  # fmt: skip
        label(
            axes,
            (103, -26.5),
            f"table-top origin: Yt {number(origin[0], 3)}, Zt {number(origin[1], 3)} mm".replace("+0.000", "0"),
            TABLE,
            va="center",
        )
        axes.set_title(title, fontsize=10.5, color=INK, loc="left")
        axes.set_xlim(-78, 150)
        axes.set_ylim(-30, 19)
        if abs(origin[1]) > 1.0:
            arrow(axes, np.array([origin[0], 0.0]), origin, COLOURS["Z"])
    figure.subplots_adjust(hspace=0.22)
    save(figure, path)


def draw_two_angles(path: Path) -> None:
    """RT Image counts where the source is, XA where the detector is: the same 30 degrees are two places."""
    figure, all_axes = canvas(10.4, 4.7, columns=2)
    ring = np.linspace(0, 2 * np.pi, 180)
    panels = (
        ("RT Image, gantry angle 30°:\nthe angle of the source", 30.0, False),
        ("XA, primary angle +30° (HFS):\nthe angle of the detector", 180.0 + 30.0, True),
    )
    for axes, (title, gantry_deg, is_xa) in zip(all_axes, panels, strict=True):
        pose = fixed_from_gantry(gantry_deg)
        source, centre = front(pose.apply((0, 0, 100))), front(pose.apply((0, 0, -62)))
        receptor = front(pose.apply([(-44, 0, -62), (44, 0, -62), (44, 0, -67), (-44, 0, -67)]))
        axes.plot(*(np.array([np.cos(ring), np.sin(ring)]) * 118), color=GHOST, lw=1)
        axes.plot([0, 0], [0, 118], color=GHOST, lw=1)
        axes.fill(30 * np.cos(ring), -2 + 15 * np.sin(ring), facecolor="white", edgecolor=TABLE, lw=1.2)
        axes.fill([-34, 34, 34, -34], [-18, -18, -22, -22], facecolor=TABLE, alpha=0.5)
        for corner in receptor[:2]:
            axes.plot(*np.array([source, corner]).T, color=SOFT, lw=0.8, ls=":")
        axes.plot(*np.array([source, centre]).T, color=ACCENT, lw=1.4)
        axes.plot(*source, "o", color=ACCENT, ms=8)
        axes.fill(*receptor.T, color=INK)
        axes.plot(0, 0, "o", color=INK, ms=4)
        counted = np.linspace(0, 30, 30)
        marked = np.array([front(fixed_from_gantry(angle).apply((0, 0, 84))) for angle in counted])
        axes.plot(*marked.T, color=WRONG, lw=1.8)
        arrow(axes, marked[-3], marked[-1], WRONG)
        label(axes, front(fixed_from_gantry(15).apply((0, 0, 95))), "30°", WRONG, va="center")
        label(axes, source * (1.22 if not is_xa else 1.2), "source", ACCENT, va="center")
        name = "image receptor, Zr = SAD − SID" if not is_xa else "detector"
        label(axes, (60, 74) if is_xa else centre * 1.75, name, INK, va="center", ha="left" if is_xa else "center")
        axes.text(-112, 112, "you face\nthe gantry", color="#70828f", fontsize=9, ha="center", va="center")
        axes.text(37, -2, "patient’s\nleft", color=TABLE, fontsize=9, ha="left", va="center")
        axes.set_title(title, fontsize=10.5, color=INK)
        axes.set_xlim(-140, 140)
        axes.set_ylim(-128, 128)
    save(figure, path)
