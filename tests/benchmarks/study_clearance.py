"""Time and truth of the path clearance check in the example room, beside the distance library asked about everything.

    python tests/benchmarks/study_clearance.py           peer: every pair at 300 poses of each path
    python tests/benchmarks/study_clearance.py --full    peer: every pair at all 10 000 poses (some minutes)

Three paths of 10 000 poses past the parts of the room. The peer asks FCL for every pair of parts at every pose and
takes the least, as it stands: for parallel faces FCL says too much, which the check corrects; "peer wrong" counts the
answers that a plane between the parts disproves by more than 0.01 mm. The ratio is for the same poses. For figures of
one core, bind the process to one (taskset) and set OMP_NUM_THREADS=1. Exits with 1 when a check takes longer than the
goal, or says more than the peer, or less by more than its own motion allowance.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import numpy as np

from isoalign.geometry import (
    Array,
    PatientPosition,
    Representation,
    TableTopPosition,
    planned_fixed_from_dicom,
)
from isoalign.geometry.clearance.checks import PathClearance, clearance_along
from isoalign.geometry.clearance.convex_parts import ConvexPart, patient_hull
from isoalign.geometry.clearance.default_room import default_room
from isoalign.geometry.clearance.part_distance import PartDistance
from isoalign.geometry.clearance.placed_parts import PlacedParts
from isoalign.geometry.clearance.room_model import MachineState, RoomModel
from isoalign.geometry.clearance.search import poses_at
from isoalign.geometry.couch_path import CouchPath, axis_values

GOAL_S = 1.0
POSES = 10_000
SHORT_PEER_POSES = 300
REPEATS = 5
IEC = Representation.IEC_61217
SETUP = TableTopPosition(IEC, 0.0, 700.0, -120.0)
PATHS = {
    "under the snout": (
        TableTopPosition(IEC, -30.0, 500.0, -120.0, -1.0, 1.0, -10.0),
        TableTopPosition(IEC, 40.0, 950.0, -122.0, 1.0, -1.0, 10.0),
        MachineState(0.0, 440.0),
    ),
    "turn beside a panel": (
        SETUP,
        TableTopPosition(IEC, 60.0, 690.0, -60.0, 2.0, -1.0, 35.0),
        MachineState(0.0, 250.0),
    ),
    "up into the snout": (
        SETUP,
        TableTopPosition(IEC, 0.0, 690.0, 60.0, 2.0, -1.0, 0.0),
        MachineState(0.0, 350.0),
    ),
}


def outer_contour() -> Array:
    """Head, neck, shoulders and trunk, 900 mm, as 301 ellipses of 120 points: DICOM patient frame, mm."""
    around = np.linspace(0.0, 2 * np.pi, 120, endpoint=False)
    points = []
    for z in np.arange(-600.0, 301.0, 3.0):
        if z > 70:
            wide, deep = np.array([78.0, 98.0]) * np.sqrt(max(0.02, 1 - ((z - 185.0) / 118.0) ** 2))
        elif z > 20:
            wide, deep = 65.0, 65.0
        else:
            wide, deep = (240.0 - 20.0 * np.cos(z / 60.0) if z > -300 else 190.0), 115.0
        points.append(np.column_stack([wide * np.cos(around), deep * np.sin(around), np.full(around.size, z)]))
    return np.concatenate(points)


def patient() -> tuple[ConvexPart, ...]:
    """The patient's hull at the set-up position."""
    planned = planned_fixed_from_dicom(PatientPosition.HFS, (0.0, 0.0, 100.0))
    return patient_hull(outer_contour(), planned, SETUP)


def path_of(start: TableTopPosition, target: TableTopPosition, poses: int) -> CouchPath:
    """Straight in the axis values, with a given number of poses."""
    ends = axis_values([start, target])
    fraction = np.linspace(0.0, 1.0, poses)[:, None]
    return CouchPath((1 - fraction) * ends[0] + fraction * ends[1], (0, poses - 1))


def timed(model: RoomModel, path: CouchPath, machine: MachineState) -> tuple[float, PathClearance]:
    """Median time of the check, s, and its result."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        found = clearance_along(model, path, machine)
        times.append(time.perf_counter() - began)
    return statistics.median(times), found


def peer(model: RoomModel, path: CouchPath, machine: MachineState) -> tuple[float, float, int]:
    """Time of asking FCL about everything, s; least distance less uncertainty, mm; answers that a plane disproves."""
    placed = PlacedParts(model, path.values, machine)
    least, spent, wrong = np.inf, 0.0, 0
    for pair in model.part_pairs:
        distance = PartDistance(*(placed.parts[index] for index in pair))
        poses = [tuple(poses_at(placed, index, sample) for index in pair) for sample in range(len(path))]
        began = time.perf_counter()
        answers = [distance._found(*both) for both in poses]
        spent += time.perf_counter() - began
        for points, both in zip(answers, poses, strict=True):
            length = float(np.linalg.norm(points[1] - points[0]))
            least = min(least, length)
            wrong += length - distance._proven_mm(points, *both) > 0.01
    return spent, least - model.uncertainty_mm, wrong


def main() -> int:
    """Run every path, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help=f"the peer at {POSES} poses, not {SHORT_PEER_POSES}")
    options = parser.parse_args()
    peer_poses = POSES if options.full else SHORT_PEER_POSES
    model = default_room(patient())
    pairs = len(model.part_pairs)
    clearance_along(model, path_of(SETUP, SETUP, 2), MachineState(270.0, 0.0))  # loads the library, builds the shapes
    print(f"{len(model.parts)} parts, {pairs} pairs; median of {REPEATS}; peer: FCL, every pair at {peer_poses} poses")
    print(
        f"{'path':<20} {'10 000 poses s':>14} {'exact calls':>11} {'share':>9} {'clearance mm':>12} {'passes':>6}",
        end="",
    )
    print(f" {'check s':>8} {'peer s':>7} {'ratio':>6} {'difference mm':>13} {'allowance mm':>12} {'peer wrong':>10}")
    met = True
    for name, (start, target, machine) in PATHS.items():
        spent, found = timed(model, path_of(start, target, POSES), machine)
        path = path_of(start, target, peer_poses)
        same_spent, same = timed(model, path, machine)
        peer_spent, peer_least, wrong = peer(model, path, machine)
        given_away = peer_least - same.least_clearance_mm
        met &= spent <= GOAL_S and -1e-6 <= given_away <= same.motion_allowance_mm + 2e-3
        print(
            f"{name:<20} {spent:>14.3f} {found.distance_calls:>11} {found.distance_calls / POSES / pairs:>9.1e} "
            f"{found.least_clearance_mm:>12.2f} {'yes' if found.passes else 'no':>6} {same_spent:>8.4f} "
            f"{peer_spent:>7.2f} {peer_spent / same_spent:>6.0f} {given_away:>13.3f} "
            f"{same.motion_allowance_mm:>12.3f} {wrong:>10}",
            flush=True,
        )
    print(f"goal: at most {GOAL_S:g} s for {POSES} poses, never above the peer: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
