"""Compiled conversion of many table-top positions, bound by memory and not by arithmetic.

Sine and cosine are polynomials without branches, so that the compiler can work on several positions at once. The angle
is reduced in degrees, where whole quarter turns are exact: ``angle - 90 * round(angle / 90)`` loses nothing for the
angles that are admitted. On the rest, at most 45 degrees, the coefficients are those of the C library fdlibm, whose
error is below one unit in the last place.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

FUSED = {"contract"}
"""Products and sums may be fused into one rounding, which is quicker and no less accurate; nothing else is relaxed."""

_RADIANS = np.pi / 180.0

_S1, _S2, _S3 = -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04
_S4, _S5, _S6 = 2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10
_C1, _C2, _C3 = 4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05
_C4, _C5, _C6 = -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11


@numba.njit(inline="always", error_model="numpy", fastmath=FUSED)
def _sine_cosine(angle_deg: float) -> tuple[float, float]:
    quarter = np.rint(angle_deg * (1.0 / 90.0))
    x = (angle_deg - 90.0 * quarter) * _RADIANS
    z = x * x
    s = x + x * z * (_S1 + z * (_S2 + z * (_S3 + z * (_S4 + z * (_S5 + z * _S6)))))
    c = 1.0 - 0.5 * z + z * z * (_C1 + z * (_C2 + z * (_C3 + z * (_C4 + z * (_C5 + z * _C6)))))
    phase = quarter - 4.0 * np.floor(quarter * 0.25)
    odd = (phase == 1.0) | (phase == 3.0)
    sine = c if odd else s
    cosine = s if odd else c
    return (-sine if phase >= 2.0 else sine), (-cosine if (phase == 1.0) | (phase == 2.0) else cosine)


@numba.njit(cache=True, error_model="numpy", nogil=True, fastmath=FUSED)
def iec_to_isocentric_into(
    lateral: Array,
    longitudinal: Array,
    vertical: Array,
    pitch: Array,
    roll: Array,
    out_lateral: Array,
    out_longitudinal: Array,
    out_vertical: Array,
) -> None:
    """Contiguous arrays of one length, mm and degrees, into three others. The caller has checked them."""
    for i in range(lateral.shape[0]):
        lat, lng, vrt, a, b = lateral[i], longitudinal[i], vertical[i], pitch[i], roll[i]
        sp, cp = _sine_cosine(a)
        sr, cr = _sine_cosine(b)
        along = cp * vrt - sp * lng
        out_lateral[i] = cr * lat - sr * along
        out_longitudinal[i] = cp * lng + sp * vrt
        out_vertical[i] = sr * lat + cr * along


@numba.njit(cache=True, error_model="numpy", nogil=True, fastmath=FUSED)
def isocentric_to_iec_into(
    lateral: Array,
    longitudinal: Array,
    vertical: Array,
    pitch: Array,
    roll: Array,
    out_lateral: Array,
    out_longitudinal: Array,
    out_vertical: Array,
) -> None:
    """Inverse of :func:`iec_to_isocentric_into`."""
    for i in range(lateral.shape[0]):
        lat, lng, vrt, a, b = lateral[i], longitudinal[i], vertical[i], pitch[i], roll[i]
        sp, cp = _sine_cosine(a)
        sr, cr = _sine_cosine(b)
        along = cr * vrt - sr * lat
        out_lateral[i] = cr * lat + sr * vrt
        out_longitudinal[i] = cp * lng - sp * along
        out_vertical[i] = sp * lng + cp * along
