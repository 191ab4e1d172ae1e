"""The anatomy of the head phantom: what is painted, where, how dense.

Sizes and CT numbers are those of an adult in round figures; no patient's data went in. Coordinates as in
:mod:`isoalign.simulators.phantom_canvas`: +x left, +y posterior, +z superior, mm, origin in the middle of the cranium.
Left and right differ on purpose, so that no mirror image of the phantom is the phantom.
"""

from __future__ import annotations

import numpy as np

from isoalign.simulators.phantom_canvas import Canvas, Field, ellipsoid_distance, rod_distance, smooth_union

AIR, FAT, SOFT, BRAIN, FLUID = -1000.0, -90.0, 45.0, 36.0, 8.0
CORTEX, DIPLOE, MARROW, PETROUS = 1350.0, 650.0, 330.0, 1550.0
ENAMEL, DENTINE, FILLING = 2500.0, 1650.0, 3071.0

SKULL_CENTRE = (0.0, 2.0, 0.0)
SKULL_RADII = (69.0, 88.0, 73.0)
SIDES = ((1.0, "left"), (-1.0, "right"))


def skin_distance(canvas: Canvas) -> Field:
    """Signed distance to the skin in every voxel."""
    x, y, z = canvas.x, canvas.y, canvas.z
    head = ellipsoid_distance(x, y, z, (0.0, 2.0, 0.0), (76.0, 95.0, 80.0))
    face = ellipsoid_distance(x, y, z, (0.0, -34.0, -58.0), (66.0, 58.0, 66.0))
    neck = rod_distance(x, y, z, [(0.0, 24.0, -45.0), (0.0, 16.0, -110.0), (0.0, 16.0, -175.0)], [55.0, 56.0, 66.0])
    jaw = ellipsoid_distance(x, y, z, (0.5, -44.0, -104.0), (54.0, 51.0, 27.0))
    body = smooth_union(smooth_union(head, face, 12.0), smooth_union(jaw, neck, 22.0), 12.0)
    nose = [(0.0, -86.0, -30.0), (1.0, -102.0, -62.0), (0.5, -88.0, -66.0)]
    window = canvas.around(nose, 20.0)
    tip = rod_distance(*canvas.coordinates(window), nose, [6.0, 8.0, 12.0])
    body[window] = smooth_union(body[window], tip, 6.0)
    for side, tilt in ((1.0, 14.0), (-1.0, 9.0)):
        place = (side * 77.0, 16.0, -28.0 - side)
        window = canvas.around([place], 36.0)
        ear = ellipsoid_distance(*canvas.coordinates(window), place, (6.0, 15.0, 29.0), tilt_deg=tilt)
        body[window] = smooth_union(body[window], ear, 3.0)
    return body


def skull_base_height(x: Field, y: Field) -> Field:
    """Height of the floor of the cranial cavity: anterior, middle and posterior fossa, mm."""

    def step(at: Field) -> Field:
        return np.asarray(1.0 / (1.0 + np.exp(-at)), dtype=np.float32)

    aside = np.abs(x - 0.5)
    saddle = np.exp(-((x / 14.0) ** 2) - ((y + 10.0) / 18.0) ** 2)
    roofs = np.exp(-(((aside - 33.0) / 13.0) ** 2) - ((y + 62.0) / 20.0) ** 2)
    bowls = np.exp(-(((aside - 38.0) / 17.0) ** 2) - ((y + 8.0) / 18.0) ** 2)
    hollow = np.exp(-((aside / 36.0) ** 2) - ((y - 48.0) / 26.0) ** 2)
    steps = -15.0 - 19.0 * step((y + 34.0) / 4.0) - 15.0 * step((y - 16.0) / 4.0)
    waves = 1.5 * np.sin(x / 7.0 + 0.6) * np.sin(y / 6.0)
    height = steps + 11.0 * saddle + (5.0 + 0.03 * x) * roofs - (8.0 - 0.03 * x) * bowls - 10.0 * hollow + waves
    return np.asarray(height, dtype=np.float32)


def cranium(canvas: Canvas, texture: Field) -> tuple[Field, tuple[slice, slice, slice]]:
    """Vault with two tables and diploe, skull base plate, brain; returns the distance to the cavity and its block."""
    window = canvas.window((-74.0, -92.0, -76.0), (74.0, 96.0, 78.0))
    x, y, z = canvas.coordinates(window)
    outer = ellipsoid_distance(x, y, z, SKULL_CENTRE, SKULL_RADII)
    thickness = (
        6.2
        + 1.4 * np.sin(y / 23.0 + 0.4) * np.cos(x / 27.0 + 0.5)
        + 1.8 * np.exp(-(((y - 78.0) / 16.0) ** 2) - (z / 26.0) ** 2)
        + 1.2 * np.exp(-(((y + 78.0) / 20.0) ** 2) - ((z - 20.0) / 26.0) ** 2)
        - 2.2 * np.exp(-(((np.abs(x) - 66.0) / 10.0) ** 2) - ((y + 20.0) / 26.0) ** 2 - ((z + 10.0) / 24.0) ** 2)
    ).astype(np.float32)
    floor = skull_base_height(x, y)
    above = z - floor
    inner = outer + thickness
    canvas.paint(window, np.maximum(outer, -(above + 4.5)), CORTEX)
    table = np.maximum(outer + 1.7, 1.5 - inner)
    canvas.paint(window, np.maximum(table, -above), DIPLOE + 160.0 * texture[window])
    sutures = np.minimum(
        np.abs(y + 22.0 - 0.20 * (73.0 - z) + 1.6 * np.sin(x / 1.9)),
        np.abs(y - 62.0 + 0.45 * np.abs(x) + 1.8 * np.sin(z / 1.7)),
    )
    canvas.paint(window, np.maximum(sutures - 0.9, np.maximum(outer, np.maximum(-inner, 15.0 - z))), 350.0)
    cavity = np.maximum(inner, -above)
    canvas.paint(window, cavity, BRAIN)
    return np.asarray(cavity, dtype=np.float32), window


def brain(canvas: Canvas) -> None:
    """Ventricles, falx, tentorium, calcifications and the target."""
    for side, drop in ((1.0, 0.0), (-1.0, 2.5)):
        canvas.rod(
            [(side * 8, -36, 16 - drop), (side * 9, -4, 24), (side * 15, 30, 12 - drop), (side * 26, 18, -10)],
            [4.0, 5.5 - side, 6.5, 3.0],
            FLUID,
        )
    canvas.rod([(0.0, -8.0, 4.0), (0.5, 8.0, -6.0), (0.0, 34.0, -36.0)], [2.0, 2.0, 4.5], FLUID)
    canvas.ellipsoid((0.6, 2.0, 10.0), (0.9, 76.0, 56.0), 68.0)
    canvas.ellipsoid((1.0, 16.0, 2.0), (2.4, 2.8, 2.2), 420.0)
    canvas.ellipsoid((23.0, 27.0, 5.0), (2.2, 3.6, 2.6), 330.0)
    canvas.rod([(0.0, -18.0, 61.0), (1.0, -6.0, 63.5)], 1.6, 600.0)
    canvas.ellipsoid((15.0, 0.0, -14.0), (11.0, 12.0, 10.0), 30.0, shell_mm=2.0, shell_value=78.0)


def skull_base(canvas: Canvas, rng: np.random.Generator) -> None:
    """Petrous ridges, mastoids with air cells, clivus, sphenoid, foramen magnum, ear canals."""
    canvas.cortical_rod([(0.0, -8.0, -38.0), (0.0, 15.0, -63.0)], [8.0, 6.5], 900.0, 350.0, 1.8)
    canvas.ellipsoid((0.0, -16.0, -41.0), (17.0, 14.0, 13.0), 500.0, shell_mm=1.5, shell_value=1000.0)
    canvas.ellipsoid((5.5, -18.0, -42.0), (8.5, 10.0, 9.0), AIR)
    canvas.ellipsoid((-6.5, -17.0, -43.5), (5.5, 8.0, 7.0), AIR)
    canvas.ellipsoid((0.0, -9.0, -27.5), (7.0, 5.5, 4.0), 40.0, shell_mm=1.3, shell_value=900.0)
    for side, _ in SIDES:
        tilt = 1.5 * side
        canvas.rod([(side * 15, -1, -43), (side * 38, 12, -40 + tilt), (side * 60, 18, -38)], [6, 9, 11], PETROUS)
        canvas.ellipsoid((side * 57.0, 26.0, -53.0 + tilt), (11.0, 14.0, 20.0), 800.0, shell_mm=1.6, shell_value=CORTEX)
        for _ in range(34 if side > 0 else 22):
            where = rng.normal((side * 57.0, 26.0, -51.0), (4.0, 5.5, 8.0))
            canvas.ellipsoid(where.tolist(), rng.uniform(1.4, 3.0, 3).tolist(), -750.0)
        canvas.rod([(side * 30, 13, -39), (side * 40, 8, -40)], 2.4, 60.0)
        canvas.ellipsoid((side * 46.0, 10.0, -42.0), (4.0, 5.0, 6.0), -800.0)
        canvas.rod([(side * 80, 12, -38), (side * 60, 11, -40), (side * 49, 10, -41)], [4.0, 3.4, 3.0], AIR)
    canvas.rod([(0.0, 33.0, -48.0), (0.0, 34.0, -74.0)], 15.0, 30.0)
    canvas.rod([(0.0, 26.0, -40.0), (0.0, 27.0, -75.0)], [9.0, 6.5], BRAIN)


def surgery(canvas: Canvas) -> None:
    """What an earlier operation left on one side: two burr holes, a titanium plate, a shunt with its valve."""
    canvas.rod([(-40, 44, 30), (-47, 53, 36)], 7.0, 40.0)
    canvas.rod([(-52, -30, 30), (-56, -31, 33)], 5.5, 40.0)
    canvas.cortical_rod([(-57, -26, 44), (-58, -12, 46), (-57, 0, 47)], 1.5, 2000.0, 2000.0, 0.5)
    canvas.rod([(-9, -4, 22), (-30, 30, 28), (-50, 54, 38), (-57, 45, 31), (-65, 36, 19)], 1.3, 900.0)
    canvas.ellipsoid((-66.0, 34.0, 16.0), (3.5, 5.0, 8.0), 300.0, shell_mm=1.2, shell_value=1500.0)
    canvas.rod([(-68, 33, 10), (-68, 32, -10), (-62, 36, -60), (-48, 36, -110), (-46, 30, -170)], 1.3, 900.0)


def face(canvas: Canvas) -> None:
    """Orbits with eyes, paranasal sinuses, nose, cheek bones, palate."""
    for side, _ in SIDES:
        grow = 1.0 + 0.07 * side
        canvas.ellipsoid((side * 32.0, -60.0, -29.0), (19.0, 24.0, 17.0), -70.0, shell_mm=1.8, shell_value=1000.0)
        canvas.ellipsoid((side * 32.0, -70.0, -29.0), (12.3, 12.3, 12.3), 15.0)
        canvas.ellipsoid((side * 32.0, -80.5, -29.0), (4.6, 2.2, 4.6), 95.0)
        canvas.rod([(side * 30, -58, -29), (side * 17, -34, -30)], 2.4, 45.0)
        angles = np.linspace(0.0, 2.0 * np.pi, 15)
        rim = [(side * 32 + 20 * np.cos(a), -77 + 5 * abs(np.cos(a)), -29 + 17.5 * np.sin(a)) for a in angles]
        canvas.cortical_rod(rim, [2.6 + 1.3 * max(0.0, float(np.sin(a))) for a in angles], CORTEX, 700.0, 1.3)
        canvas.cortical_rod(
            [(side * 44, -66, -52), (side * 55, -52, -50), (side * 60, -27, -46), (side * 59, -4, -42)],
            [8.0, 6.5, 3.4, 3.6],
            CORTEX,
            500.0,
            1.5,
        )
        radii = (13.0 * grow, 15.0, 17.0 * grow)
        canvas.ellipsoid((side * 29.0, -58.0, -63.0), radii, AIR, shell_mm=1.7, shell_value=1050.0)
        for cell, depth in enumerate((-70.0, -60.0, -50.0, -40.0)):
            shift = 1.2 * np.sin(3.1 * cell + side)
            canvas.ellipsoid((side * 7.5, depth, -34.0 + shift), (4.2, 4.6, 7.0), AIR, shell_mm=0.8, shell_value=500.0)
    canvas.ellipsoid((9.5, -79.0, 3.0), (13.0, 4.2, 12.0), AIR, shell_mm=1.5, shell_value=CORTEX)
    canvas.ellipsoid((-11.0, -79.5, -1.0), (9.0, 3.6, 7.0), AIR, shell_mm=1.5, shell_value=CORTEX)
    canvas.ellipsoid((0.0, -62.0, -59.0), (13.0, 27.0, 19.0), AIR, shell_mm=1.2, shell_value=800.0)
    canvas.ellipsoid((0.0, -24.0, -60.0), (12.0, 12.0, 13.0), AIR)
    canvas.rod([(0.8, -86.0, -44.0), (2.6, -62.0, -52.0), (0.5, -38.0, -58.0)], 1.2, 350.0)
    canvas.block((1.6, -62.0, -60.0), (1.1, 25.0, 16.0), 0.8, 230.0)
    for side, swell in ((1.0, 0.0), (-1.0, 0.8)):
        canvas.rod([(side * 8.0, -80, -66), (side * 8.2, -42, -65)], 3.2 + swell, 55.0)
        canvas.rod([(side * 7.5, -74, -52), (side * 7.5, -44, -51)], 2.4 + swell, 55.0)
        canvas.rod([(side * 5.0, -98, -70), (side * 5.5, -82, -66)], 3.2, AIR)
        canvas.cortical_rod([(side * 20.0, -24, -52), (side * 19.0, -22, -78)], 3.0, 1000.0, 600.0, 1.2)
    canvas.cortical_rod([(0.0, -86.0, -27.0), (0.5, -95.0, -46.0)], [4.0, 2.5], CORTEX, 800.0, 1.2)
    canvas.block((0.0, -60.0, -80.0), (22.0, 24.0, 2.2), 1.5, 1000.0)


def arch(half_width: float, front: float, depth: float, angle_deg: float) -> tuple[float, float]:
    """X and y of a point of a dental arch; 0 degrees is in front, positive angles are left."""
    angle = np.deg2rad(angle_deg)
    return float(half_width * np.sin(angle)), float(front + depth * (1.0 - np.cos(angle)))


def jaws(canvas: Canvas) -> None:
    """Upper and lower jaw, and the teeth one by one: one is missing, one has a filling, one a crown."""
    steps = np.linspace(-86.0, 86.0, 21)
    canvas.cortical_rod([(*arch(27.0, -84.0, 40.0, a), -83.0) for a in steps], 6.0, 1100.0, 450.0, 1.5)
    body = [(*arch(43.0, -84.0, 52.0, a), -114.0 + 3.0 * (1.0 - np.cos(np.deg2rad(a)))) for a in steps]
    canvas.cortical_rod(body, 8.0, 1500.0, MARROW, 2.4)
    canvas.cortical_rod([(*arch(29.0, -81.0, 44.0, a), -109.0) for a in steps], 5.5, 1200.0, 480.0, 1.4)
    for side, _ in SIDES:
        lean = 1.5 * side
        ramus = [(side * 42, -34, -111), (side * 47, -18, -100), (side * 49, -13, -72), (side * 50, -5 + lean, -47)]
        canvas.cortical_rod(ramus, [8.0, 8.0, 6.0, 5.0], 1450.0, 400.0, 1.9)
        canvas.cortical_rod([(side * 48, -20, -84), (side * 47, -29, -57)], [5.5, 3.2], 1350.0, 500.0, 1.6)
    widths = np.array([4.9, 5.0, 4.8, 3.8, 3.8, 3.9, 3.3, 3.9, 3.4, 3.9, 3.8, 3.8, 4.8, 5.0])
    angles = np.linspace(-77.0, 77.0, len(widths))
    for number, (angle, width) in enumerate(zip(angles, widths, strict=True)):
        wobble = 0.7 * np.sin(5.3 * number)
        x, y = arch(27.0, -84.5, 40.0, angle + wobble)
        tooth(
            canvas,
            (x, y),
            (-86.5, -94.5 - 0.4 * wobble),
            -72.0,
            float(width) * 0.92,
            FILLING if number == 12 else ENAMEL,
        )
        x, y = arch(25.5, -81.5, 40.0, angle - wobble)
        if number != 4:
            crown = FILLING if number == 1 else ENAMEL
            tooth(canvas, (x, y), (-104.5, -97.0), -118.0, float(width) * (0.74 if 4 < number < 9 else 0.9), crown)
    canvas.ellipsoid((3.0, -62.0, -90.0), (17.0, 15.0, 2.2), AIR)


def tooth(
    canvas: Canvas,
    place: tuple[float, float],
    crown_z: tuple[float, float],
    tip_z: float,
    width_mm: float,
    value: float,
) -> None:
    """One tooth: enamel crown with dentine inside, tapered root with its canal."""
    x, y = place
    radius = width_mm * 0.82
    neck, top = crown_z
    canvas.rod([(x, y, neck), (x, y, tip_z)], [radius * 0.85, 1.4], DENTINE)
    canvas.rod([(x, y, neck), (x, y, top)], [radius * 0.9, radius], value)
    canvas.rod([(x, y, neck), (x, y, top + 0.3 * (neck - top))], [radius * 0.6, radius * 0.5], DENTINE)
    canvas.rod([(x, y, neck), (x, y, tip_z + 0.2 * (neck - tip_z))], 0.6, 300.0)


def neck(canvas: Canvas, rng: np.random.Generator) -> None:
    """Atlas, axis, the vertebrae below with their processes, hyoid, larynx and airway."""
    canvas.rod([(0, -24, -62), (0, -17, -84), (1, -14, -108), (1, -17, -130), (1, -20, -175)], [9, 8, 7, 8.5, 9], AIR)
    levels = [(-85.0, 11.0), (-102.0, 8.0), (-118.5, 7.0), (-135.0, 8.0), (-151.5, 11.0), (-168.0, 14.0)]
    canvas.rod([(0.0, 27.0, -66.0)] + [(0.0, y + 17.0, z) for z, y in levels], 8.5, -15.0)
    canvas.rod([(0.0, 27.0, -66.0)] + [(0.0, y + 17.0, z) for z, y in levels], 5.2, BRAIN)
    turn = np.linspace(0.0, 2.0 * np.pi, 17)
    ring = [(24.0 * np.sin(a), 26.0 - 18.0 * np.cos(a), -72.0) for a in turn]
    canvas.cortical_rod(ring, 4.0, CORTEX, 500.0, 1.4)
    for side, _ in SIDES:
        canvas.ellipsoid((side * 20.0, 18.0, -70.0), (8.0, 9.0, 8.0), 500.0, shell_mm=1.3, shell_value=1200.0)
        canvas.cortical_rod([(side * 24, 20, -72), (side * 37, 21, -73 + side)], [5.0, 3.5], 1200.0, 450.0, 1.3)
    canvas.cortical_rod([(0.0, 12.0, -86.0), (0.0, 13.0, -66.0)], [6.0, 4.6], 1250.0, 420.0, 1.5)
    for number, (z, y) in enumerate(levels):
        vertebra(canvas, rng, z, y, number)
        if number:
            canvas.block((0.0, y + 1.0, z + 8.3), (10.5, 7.5, 2.2), 1.5, 95.0)
    canvas.cortical_rod(
        [(-19, -6, -121), (-13, -22, -127), (0, -29, -128), (14, -22, -127), (20, -7, -122)], 2.3, 900.0, 400.0, 0.9
    )
    canvas.rod([(-12, -16, -142), (0, -34, -143), (13, -16, -141)], 2.2, 230.0)


def vertebra(canvas: Canvas, rng: np.random.Generator, z: float, y: float, number: int) -> None:
    """One cervical vertebra: body, arch, facets, transverse and spinous processes."""
    shift = float(rng.normal(0.0, 0.7))
    canvas.block((shift, y, z), (11.5, 8.5, 6.6), 3.0, 1050.0)
    canvas.block((shift, y, z), (10.0, 7.0, 5.2), 2.2, MARROW)
    tail = y + (52.0 if number == 0 else 40.0 + 4.0 * number)
    for side, _ in SIDES:
        reach = 26.0 + float(rng.normal(0.0, 0.8))
        canvas.cortical_rod(
            [(side * 9 + shift, y + 6, z), (side * 17 + shift, y + 15, z + 1), (shift, y + 31, z - 4)],
            [3.6, 4.2, 3.4],
            1200.0,
            450.0,
            1.3,
        )
        canvas.ellipsoid(
            (side * 18.0 + shift, y + 13.0, z), (6.0, 5.5, 9.5), 600.0, shell_mm=1.0, shell_value=1150.0, tilt_deg=-35.0
        )
        canvas.cortical_rod(
            [(side * 11 + shift, y + 2, z), (side * reach, y + 4, z - 3)], [4.5, 3.8], 1050.0, 450.0, 1.2
        )
        canvas.rod([(side * 17.0 + shift, y + 3, z - 8), (side * 17.0 + shift, y + 3, z + 6)], 2.4, 45.0)
        canvas.cortical_rod([(shift, y + 31, z - 4), (side * 3.5 + shift, tail, z - 9)], [3.6, 2.8], 1200.0, 500.0, 1.2)
