"""The geometry conventions as pictures. Every position comes from isoalign.geometry, nothing is drawn by eye."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from isoalign.geometry import (
    Fixed,
    ImagerAxis,
    PatientPosition,
    PixelGrid,
    Pose,
    ProjectionGeometry,
    Representation,
    TableTopPosition,
    fixed_from_table,
    planned_fixed_from_dicom,
)

Points = npt.NDArray[np.float64]

INK, SOFT = "#24313c", "#9fb0bd"
COLOURS = {"X": "#c0392b", "Y": "#1e8449", "Z": "#1f618d"}
TABLE, GHOST, ACCENT = "#0b6e8a", "#c9d5dd", "#b8860b"
ELEVATION, AZIMUTH = np.deg2rad(22.0), np.deg2rad(-62.0)


def seen(points: npt.ArrayLike) -> Points:
    """Points of the fixed frame (..., 3) as an observer at the foot end, to the right and above, sees them (..., 2)."""
    towards = np.array([np.cos(ELEVATION) * np.cos(AZIMUTH), np.cos(ELEVATION) * np.sin(AZIMUTH), np.sin(ELEVATION)])
    right = np.cross([0, 0, 1.0], towards)
    right /= np.linalg.norm(right)
    up = np.cross(towards, right)
    return np.asarray(points, dtype=np.float64) @ np.array([right, up]).T


def canvas(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Axes without frames, equal scales."""
    figure, axes = plt.subplots(1, columns, figsize=(width, height), squeeze=False)
    for one in axes.ravel():
        one.set_aspect("equal")
        one.axis("off")
    return figure, list(axes.ravel())


def save(figure: Figure, path: Path) -> None:
    """Write the figure and forget it; the same input gives the same bytes."""
    with mpl.rc_context({"svg.hashsalt": path.stem}):
        figure.savefig(path, bbox_inches="tight", facecolor="white", metadata={"Date": None, "Creator": None})
    plt.close(figure)


def arrow(axes: Axes, start: Points, end: Points, colour: str, label: str = "", width: float = 1.8) -> None:
    """An arrow between two seen points, with a label beyond its tip."""
    axes.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": width, "shrinkA": 0, "shrinkB": 0}
    )
    if label:
        beyond = end + 8 * (end - start) / max(float(np.linalg.norm(end - start)), 1e-9)
        axes.text(*beyond, label, color=colour, ha="center", va="center", fontsize=10, fontweight="bold")


def frame(axes: Axes, origin: npt.ArrayLike, rotation: Points, length: float, labels: tuple[str, str, str]) -> None:
    """Three coloured axes."""
    at = np.asarray(origin, dtype=np.float64)
    for column, (name, label) in enumerate(zip("XYZ", labels, strict=True)):
        arrow(axes, seen(at), seen(at + length * rotation[:, column]), COLOURS[name], label)


def slab(axes: Axes, pose: Pose[Fixed, object], colour: str, *, fill: bool = True, near: float = -60.0) -> None:  # type: ignore[type-var]
    """A table top: a thin plate, 50 wide, from ``near`` to 60 mm along its Y axis (a tenth of the real size)."""
    corners = np.array([(-25, near, 0), (25, near, 0), (25, 60, 0), (-25, 60, 0)], dtype=np.float64)
    outline = seen(pose.apply(corners))
    axes.fill(*outline.T, facecolor=colour if fill else "none", edgecolor=colour, alpha=0.35 if fill else 1.0, lw=1.4)
    if fill:
        axes.fill(*outline.T, facecolor="none", edgecolor=colour, lw=1.4)


def draw_room_axes(path: Path) -> None:
    """The IEC fixed axes, the gantry and a patient who lies head first supine."""
    figure, (axes,) = canvas(7.4, 4.6)
    ring = np.linspace(0, 2 * np.pi, 120)
    for radius in (86, 100):
        circle = np.stack([radius * np.cos(ring), np.full_like(ring, 92.0), radius * np.sin(ring)], axis=-1)
        axes.plot(*seen(circle).T, color=SOFT, lw=1.3)
    slab(axes, fixed_from_table(TableTopPosition(Representation.IEC_61217, 0, 0, -14)), TABLE, near=-110.0)
    patient = planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 0.0))
    axes.annotate(
        "isocentre",
        seen((0, 0, 0)),
        seen((-52, -20, 40)),
        color=INK,
        fontsize=9,
        arrowprops={"arrowstyle": "-", "color": SOFT},
    )
    turn = np.linspace(0, 2 * np.pi, 60)
    head = np.stack([9 * np.cos(turn), np.full_like(turn, 8.0), 46 + 11 * np.sin(turn)], axis=-1)
    trunk = np.array(
        [(-5, 8, 36), (-18, 8, 30), (-17, 8, -40), (-14, 8, -95), (14, 8, -95), (17, 8, -40), (18, 8, 30), (5, 8, 36)]
    )
    for outline in (head, trunk.astype(np.float64)):
        axes.fill(*seen(patient.apply(outline)).T, facecolor="white", edgecolor=TABLE, alpha=0.8, lw=1.2)
    hand = seen(patient.apply((26.0, 8.0, -52.0)))
    axes.text(hand[0] + 6, hand[1] - 12, "patient’s left (HFS)", color=TABLE, fontsize=9, ha="left")
    frame(axes, (0, 0, 0), np.eye(3), 74, ("+X", "+Y", "+Z"))
    axes.plot(*seen((0, 0, 0)), "o", color=INK, ms=5)
    axes.text(*seen((-75, 92, 75)), "gantry", color="#70828f", fontsize=10, ha="right")
    axes.text(
        *seen((20, -140, -40)), "observer stands here\nand faces the gantry", color="#70828f", fontsize=9, ha="center"
    )
    save(figure, path)


def draw_table_rotations(path: Path) -> None:
    """One panel for each angle of the table: a positive rotation from the level table."""
    panels = [
        ("pitch + : gantry end up", {"pitch_deg": 18.0}),
        ("roll + : right side (+X) down", {"roll_deg": 24.0}),
        ("patient support angle + :\ncounter-clockwise from above", {"patient_support_angle_deg": 30.0}),
    ]
    figure, all_axes = canvas(11.0, 3.9, columns=3)
    level = fixed_from_table(TableTopPosition(Representation.IEC_61217, 0, 0, 0))
    for axes, (title, angles) in zip(all_axes, panels, strict=True):
        pose = fixed_from_table(TableTopPosition(Representation.IEC_61217, 0, 0, 0, **angles))
        slab(axes, level, GHOST)
        slab(axes, pose, TABLE)
        frame(axes, (0, 0, 0), pose.rotation, 52, ("Xt", "Yt", "Zt"))
        ((key, value),) = angles.items()
        steps = np.linspace(0, value, 24)
        follow = (0.0, 60.0, 0.0) if key == "pitch_deg" else (40.0, 0.0, 0.0)
        path_points = [
            fixed_from_table(TableTopPosition(Representation.IEC_61217, 0, 0, 0, **{key: float(step)})).apply(follow)
            for step in steps
        ]
        track = seen(np.array(path_points))
        axes.plot(*track.T, color=ACCENT, lw=2)
        arrow(axes, track[-3], track[-1], ACCENT)
        axes.set_title(title, fontsize=10.5, color=INK)
        axes.set_xlim(-75, 80)
        axes.set_ylim(-58, 68)
    save(figure, path)


def draw_representations(path: Path) -> None:
    """Side view: the same six numbers mean two places once the table is pitched."""
    figure, all_axes = canvas(10.6, 4.0, columns=2)
    numbers = (0.0, 40.0, -30.0, 15.0, 0.0, 0.0)
    names = {
        Representation.IEC_61217: "IEC 61217: shift along level axes,\nthen pitch about the table-top origin",
        Representation.ISOCENTRIC_STANDARD: "Isocentric Standard: pitch about the\n"
        "isocentre, then shift along tilted axes",
    }
    for axes, (representation, title) in zip(all_axes, names.items(), strict=True):
        position = TableTopPosition.from_values(representation, numbers)
        pose = fixed_from_table(position)

        def side(points: npt.ArrayLike) -> Points:
            """Seen along -X: +Y to the right, +Z up."""
            return np.asarray(points, dtype=np.float64)[..., 1:]

        tilted = representation is Representation.ISOCENTRIC_STANDARD
        turned = pose.rotation if tilted else np.eye(3)
        corner = turned @ np.array([0.0, numbers[1], 0.0])
        axes.axhline(0, color=GHOST, lw=1)
        axes.axvline(0, color=GHOST, lw=1)
        plate = side(pose.apply([(0, -60, 0), (0, 60, 0), (0, 60, -4), (0, -60, -4)]))
        axes.fill(*plate.T, color=TABLE, alpha=0.55)
        arrow(axes, side([0, 0, 0]), side(corner), COLOURS["Y"])
        arrow(axes, side(corner), side(pose.translation_mm), COLOURS["Z"])
        axes.text(
            *(side(corner) / 2 + [2, 7]),
            "longitudinal +40",
            color=COLOURS["Y"],
            ha="left" if not tilted else "center",
            fontsize=9,
            rotation=15 if tilted else 0,
        )
        axes.text(*(side(corner + pose.translation_mm) / 2 + [4, 0]), "vertical −30", color=COLOURS["Z"], fontsize=9)
        axes.plot(0, 0, "o", color=INK, ms=5)
        axes.text(-3, 5, "isocentre", color=INK, ha="right", va="bottom", fontsize=9)
        axes.plot(*side(pose.translation_mm), "s", color=TABLE, ms=5)
        y, z = side(pose.translation_mm)
        axes.text(
            y + 3,
            z - 13,
            f"table-top origin\nY {y:+.1f}, Z {z:+.1f} mm".replace("Y -", "Y −").replace("Z -", "Z −"),
            color=TABLE,
            fontsize=9,
        )
        axes.set_title(title, fontsize=10.5, color=INK)
        axes.set_xlim(-75, 115)
        axes.set_ylim(-70, 40)
    save(figure, path)


def draw_imager(path: Path) -> None:
    """A kV imager at gantry angle 0 and at 90 degrees: source, axis, receptor and the run of rows and columns."""
    figure, all_axes = canvas(10.6, 5.2, columns=2)
    for axes, angle in zip(all_axes, (0.0, 90.0), strict=True):
        geometry = ProjectionGeometry.from_axis(ImagerAxis(angle, 100.0, 150.0), PixelGrid.centred(60, 44, 1.6))
        source = geometry.source_mm
        pose = geometry.fixed_from_receptor
        corners = pose.apply([(-35, -48, 0), (35, -48, 0), (35, 48, 0), (-35, 48, 0)])
        slab(axes, fixed_from_table(TableTopPosition(Representation.IEC_61217, 0, 0, -14)), TABLE)
        axes.fill(*seen(corners).T, facecolor=GHOST, edgecolor=INK, alpha=0.6, lw=1.2)
        for corner in corners:
            axes.plot(*seen([source, corner]).T, color=SOFT, lw=0.8, ls=":")
        axes.plot(*seen([source, pose.translation_mm]).T, color=ACCENT, lw=1.4)
        axes.plot(*seen(source), "o", color=ACCENT, ms=7)
        at = seen(source)
        axes.text(at[0] + 5, at[1] - 10 if angle else at[1], "source", color=ACCENT, fontsize=10)
        frame(axes, pose.translation_mm, pose.rotation, 30, ("Xr", "Yr", "Zr"))
        upper_left = pose.apply(geometry.grid.receptor_points_mm([0.0, 0.0]))
        axes.plot(*seen(upper_left), "s", color=INK, ms=6)
        pixel = seen(upper_left)
        axes.annotate(
            "first pixel",
            pixel,
            (pixel[0] - 34, pixel[1] + 22),
            fontsize=9,
            color=INK,
            arrowprops={"arrowstyle": "-", "color": SOFT},
        )
        axes.plot(*seen((0, 0, 0)), "o", color=INK, ms=5)
        axes.set_title(f"gantry angle {angle:g}°", fontsize=10.5, color=INK)
        axes.margins(0.08)
    save(figure, path)
