"""Parts of a room at every sample of a path: poses, bounding spheres, and bounds on the motion between samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isoalign.geometry.clearance.convex_parts import ConvexPart
from isoalign.geometry.clearance.errors import ClearanceUnknown
from isoalign.geometry.clearance.room_model import MachineState, RoomModel
from isoalign.geometry.errors import InvalidGeometry
from isoalign.geometry.frames import Fixed, TableTop
from isoalign.geometry.pose import Array

Poses = tuple[Array, Array]
"""Rotations (N, 3, 3) and translations (N, 3) to the fixed frame; N is 1 for what stands still."""

Index = int | slice | npt.NDArray[np.int64]


def fixed_from_table_poses(values: Array) -> Poses:
    """:func:`~isoalign.geometry.table_top.fixed_from_table` for (N, 6) IEC 61217 values in the order of ``AXES``."""
    (ca, cb, cg), (sa, sb, sg) = (function(np.deg2rad(values[:, 3:].T)) for function in (np.cos, np.sin))
    rows = [
        [cg * cb - sg * sa * sb, -sg * ca, cg * sb + sg * sa * cb],
        [sg * cb + cg * sa * sb, cg * ca, sg * sb - cg * sa * cb],
        [-ca * sb, sa, ca * cb],
    ]
    lateral, longitudinal, vertical = values[:, :3].T
    shift = [cg * lateral - sg * longitudinal, sg * lateral + cg * longitudinal, vertical]
    return np.moveaxis(np.array(rows), -1, 0).copy(), np.array(shift).T.copy()


def at(per_sample: Array, index: Index) -> Array:
    """Rows of an array per sample, as an array of samples; one that stands still has only one row."""
    if len(per_sample) == 1:
        return per_sample
    return per_sample[index : index + 1] if isinstance(index, int) else per_sample[index]


class PlacedParts:
    """The parts of a model at N samples of the couch and the machine.

    Attributes
    ----------
    poses : list of Poses
        Per part.
    centres_mm : list of ndarray, shape (N or 1, 3)
        Per part, centre of the bounding sphere in the fixed frame.
    steps_mm : list of ndarray, shape (N - 1 or 1,)
        Per part, bound on the way of any of its points from each sample to the next.
    """

    def __init__(self, model: RoomModel, values: Array, machine: MachineState) -> None:
        self.parts = model.parts
        self.samples = len(values)
        self._values = values
        self._machine = machine
        carriers: dict[tuple[object, ...], Poses] = {}
        self.poses: list[Poses] = []
        self.centres_mm: list[Array] = []
        self.steps_mm: list[Array] = []
        for part in model.parts:
            carrier = (part.frame, part.arm, part.slides)
            if carrier not in carriers:
                carriers[carrier] = self._carrier_poses(part)
            rotations, shifts = carriers[carrier]
            self.poses.append(carriers[carrier])
            self.centres_mm.append(rotations @ part.centre_mm + shifts)
            self.steps_mm.append(self._table_steps(part) if part.frame is TableTop else self._machine_steps(part))

    def _carrier_poses(self, part: ConvexPart) -> Poses:
        if part.frame is Fixed:
            return np.eye(3)[None], np.zeros((1, 3))
        if part.frame is TableTop:
            return fixed_from_table_poses(self._values)
        angle, extension = np.broadcast_arrays(np.deg2rad(self._angle_deg(part)), self._extension_mm(part))
        c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
        rotations = np.moveaxis(np.array([[c, zero, s], [zero, one, zero], [-s, zero, c]]), -1, 0).copy()
        return rotations, -extension[:, None] * rotations[:, :, 2]

    def _angle_deg(self, part: ConvexPart) -> Array:
        if not part.arm:
            return self._per_sample("gantry angle", self._machine.gantry_angle_deg)
        if part.arm not in self._machine.arm_angles_deg:
            raise ClearanceUnknown(f"{part.name} turns with arm {part.arm}, whose angle is not known", arm=part.arm)
        return self._per_sample(f"angle of arm {part.arm}", self._machine.arm_angles_deg[part.arm])

    def _extension_mm(self, part: ConvexPart) -> Array:
        if not part.slides:
            return np.zeros(1)
        if self._machine.snout_extension_mm is None:
            raise ClearanceUnknown(f"{part.name} slides along the beam, but its extension is not known")
        return self._per_sample("snout extension", self._machine.snout_extension_mm)

    def _per_sample(self, name: str, value: float | Array) -> Array:
        array = np.atleast_1d(np.asarray(value, dtype=np.float64))
        if array.shape not in {(1,), (self.samples,)}:
            raise InvalidGeometry(f"the {name} is one number or {self.samples}, not an array {array.shape}")
        return array

    def _table_steps(self, part: ConvexPart) -> Array:
        """As :func:`~isoalign.geometry.couch_path.motion_bound_mm`, with the part's own arms instead of one radius.

        The support angle turns the part about the vertical axis: the arm is the horizontal distance of the sphere's
        centre plus the radius, and half the other motion for what the centre does between the two samples.
        """
        changes = np.abs(np.diff(self._values, axis=0))
        pitch, roll, support = np.deg2rad(changes[:, 3:].T)
        from_origin = float(np.linalg.norm(part.vertices_mm, axis=1).max())
        from_roll_axis = float(np.hypot(part.vertices_mm[:, 0], part.vertices_mm[:, 2]).max())
        without_support = np.linalg.norm(changes[:, :3], axis=1) + pitch * from_origin + roll * from_roll_axis
        horizontal = np.hypot(self.centres_mm[-1][:, 0], self.centres_mm[-1][:, 1])
        arm = np.maximum(horizontal[:-1], horizontal[1:]) + part.radius_mm + without_support / 2
        return np.asarray(without_support + support * arm)

    def _machine_steps(self, part: ConvexPart) -> Array:
        if part.frame is Fixed:
            return np.zeros(1)
        extension = self._extension_mm(part)
        arm = float(np.hypot(part.vertices_mm[:, 0], part.vertices_mm[:, 2]).max()) + float(np.abs(extension).max())
        turn, slide = (np.abs(np.diff(each)) for each in (np.deg2rad(self._angle_deg(part)), extension))
        return np.asarray((turn if turn.size else np.zeros(1)) * arm + (slide if slide.size else np.zeros(1)))

    def sphere_bounds_mm(self, first: int, second: int) -> Array:
        """Lower bound of the distance of two parts at every sample, from their bounding spheres, shape (N,)."""
        apart = self.centres_mm[first] - self.centres_mm[second]
        reach = self.parts[first].radius_mm + self.parts[second].radius_mm
        bounds = np.maximum(0.0, np.sqrt(np.einsum("ni,ni->n", apart, apart)) - reach)
        return np.array(np.broadcast_to(bounds, (self.samples,)))

    def way_mm(self, first: int, second: int) -> Array:
        """Bound on how far two parts have moved with respect to each other since the first sample, shape (N,)."""
        steps = np.broadcast_to(self.steps_mm[first] + self.steps_mm[second], (max(0, self.samples - 1),))
        return np.concatenate([np.zeros(1), np.cumsum(steps)])
