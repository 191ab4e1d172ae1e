"""How the couch's controller allows for the sag of its table top: a load cell, and an elastic model of its own.

The controller knows nothing of the body but what its sensors say and what was measured once, when the couch was set up:
known weights were laid on the table top at some extensions, and gauges told how far it sank and tilted. A model is
fitted to that; it is as good as the gauges, and the load cell has an error of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isoalign.simulators.couch_physics import AXIS_COUNT, CouchBody, CouchPhysicsParameters
from isoalign.simulators.servo_body import Array

TEST_WEIGHTS_KG = (40.0, 80.0, 120.0, 150.0)
TEST_EXTENSIONS_MM = (300.0, 700.0, 1100.0, 1450.0)
GAUGE_NOISE_MM, GAUGE_NOISE_DEG = 0.03, 0.003
WEIGHT_ERROR = 0.002
_SETTLES_S = 1.0


@dataclass(frozen=True, slots=True)
class LoadTestRow:
    """One reading of the load test: the weight, the longitudinal position, and what the gauges said."""

    weight_kg: float
    longitudinal_mm: float
    sunk_mm: float
    tilted_deg: float


def run_load_test(parameters: CouchPhysicsParameters, seed: int) -> list[LoadTestRow]:
    """The load test of a couch with these parameters, as whoever sets it up makes it.

    The gauges see how much lower and how much further tilted (pitch down) the table top is with a weight than without.
    """
    dice = np.random.default_rng([seed, 0x10AD])
    rows = []
    for longitudinal_mm in TEST_EXTENSIONS_MM:
        body = CouchBody((0.0, longitudinal_mm, 0.0, 0.0, 0.0, 0.0), seed=seed, now_s=0.0, parameters=parameters)
        empty = body.true_position()
        for weight_kg in TEST_WEIGHTS_KG:
            body.payload_kg = weight_kg * (1 + WEIGHT_ERROR * dice.uniform(-1, 1))
            change = body.true_position() - empty
            sunk_mm = -change[2] + dice.normal(0.0, GAUGE_NOISE_MM)
            tilted_deg = -change[3] + dice.normal(0.0, GAUGE_NOISE_DEG)
            rows.append(LoadTestRow(weight_kg, longitudinal_mm, float(sunk_mm), float(tilted_deg)))
    return rows


@dataclass(frozen=True, slots=True)
class ElasticModel:
    """How far the table top sinks and tilts, proportional to the load, by powers of the extension.

    Attributes
    ----------
    sink : (float, float)
        mm per kg, of the square and the cube of the longitudinal position in m.
    tilt : (float, float)
        Degrees per kg, of the longitudinal position in m and its square.
    """

    sink: tuple[float, float]
    tilt: tuple[float, float]

    @classmethod
    def fitted(cls, rows: Sequence[LoadTestRow]) -> ElasticModel:
        """The model of least squares for a load test."""
        reach = np.array([row.longitudinal_mm for row in rows]) / 1000.0
        weight = np.array([row.weight_kg for row in rows])
        sink = np.linalg.lstsq(
            np.column_stack([weight * reach**2, weight * reach**3]), np.array([row.sunk_mm for row in rows])
        )[0]
        tilt = np.linalg.lstsq(
            np.column_stack([weight * reach, weight * reach**2]), np.array([row.tilted_deg for row in rows])
        )[0]
        return cls((float(sink[0]), float(sink[1])), (float(tilt[0]), float(tilt[1])))

    def deflection(self, longitudinal_mm: float, load_kg: float) -> Array:
        """What the load adds to the position of the table, mm and degrees, IEC 61217, shape (6,)."""
        reach = max(0.0, longitudinal_mm) / 1000.0
        added = np.zeros(AXIS_COUNT)
        added[2] = -load_kg * reach**2 * (self.sink[0] + self.sink[1] * reach)
        added[3] = -load_kg * reach * (self.tilt[0] + self.tilt[1] * reach)
        return added

    def deflection_rate(self, longitudinal_mm: float, speed_mm_per_s: float, load_kg: float) -> Array:
        """How fast that changes when the table extends at a speed, shape (6,)."""
        reach, speed = max(0.0, longitudinal_mm) / 1000.0, speed_mm_per_s / 1000.0
        rate = np.zeros(AXIS_COUNT)
        rate[2] = -load_kg * reach * (2 * self.sink[0] + 3 * self.sink[1] * reach) * speed
        rate[3] = -load_kg * (self.tilt[0] + 2 * self.tilt[1] * reach) * speed
        return rate


class LoadCell:
    """What the controller knows of the load: noisy readings with a scale error and an offset, smoothed at rest.

    Parameters
    ----------
    seed : int
    noise_kg : float
        Standard deviation of one reading.
    scale_error, offset_kg : float
        The largest; each cell has its own, from the seed.

    Attributes
    ----------
    load_kg : float
        The smoothed reading; it stays as it is while something moves, when forces would be taken for weight.
    """

    def __init__(self, seed: int, *, noise_kg: float = 0.3, scale_error: float = 0.01, offset_kg: float = 0.3) -> None:
        self._random = np.random.default_rng([seed, 0xCE11])
        self._noise_kg = noise_kg
        self._scale = 1 + scale_error * self._random.uniform(-1, 1)
        self._offset_kg = offset_kg * self._random.uniform(-1, 1)
        self._read_s: float | None = None
        self.load_kg = 0.0

    def read(self, payload_kg: float, now_s: float) -> None:
        """Take a reading, at rest."""
        seen_kg = payload_kg * self._scale + self._offset_kg + self._random.normal(0.0, self._noise_kg)
        if self._read_s is None:
            self.load_kg = seen_kg
        else:
            self.load_kg += (seen_kg - self.load_kg) * min(1.0, (now_s - self._read_s) / _SETTLES_S)
        self._read_s = now_s


class LoadCompensation:
    """Positions of the drives as positions of the loaded table top, and back.

    Parameters
    ----------
    model : ElasticModel
    cell : LoadCell
    """

    def __init__(self, model: ElasticModel, cell: LoadCell) -> None:
        self.model = model
        self.cell = cell

    def table_top(self, drives: Array) -> Array:
        """Where the table top is when the drives are there, IEC 61217."""
        return drives + self.model.deflection(float(drives[1]), self.cell.load_kg)

    def drives(self, table_top: Array) -> Array:
        """Where the drives must be; the load does not change the extension itself."""
        return table_top - self.model.deflection(float(table_top[1]), self.cell.load_kg)

    def table_top_speed(self, drives: Array, speed: Array) -> Array:
        """How fast the table top moves when the drives do."""
        return speed + self.model.deflection_rate(float(drives[1]), float(speed[1]), self.cell.load_kg)
