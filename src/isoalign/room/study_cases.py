"""The cases of a study: a patient at a planted place, images of the simulators, a match, and how far it is off.

The simulators render with their own exact ray caster and paint volumes from formulas; nothing of the matcher makes the
images it is judged by. Every case depends on the plan of the study, its kind and its number only.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isoalign.errors import IsoalignError
from isoalign.geometry import (
    Array,
    DicomPatient,
    Fixed,
    PatientPosition,
    Pose,
    Representation,
    TableTopPosition,
    fixed_from_table,
    planned_fixed_from_dicom,
    residual_of,
    setup_error,
)
from isoalign.records import Acquisition, Match, Radiograph, Technique, Volume
from isoalign.room.errors import UnusableStudy

if TYPE_CHECKING:
    from isoalign.registration import PreparedScan, PreparedVolume
    from isoalign.simulators.panel_image import PanelPhysics

Row = dict[str, Any]

TARGETS_MM = np.stack(np.meshgrid([-80, 0, 80], [-60, 0, 60], [-80, 0, 80]), axis=-1).reshape(-1, 3).astype(float)
"""Points about the isocentre over which the error of a match is averaged, fixed frame."""
SETUP = TableTopPosition(Representation.IEC_61217, 0.0, 700.0, -120.0)
SID_MM, SAD_MM, PANEL_MM = 1500.0, 1000.0, 410.0


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """What a study does.

    Attributes
    ----------
    name : str
        "radiographs" (2D/3D) or "volumes" (3D/3D).
    kinds : tuple of str
    cases : int
        Of each kind.
    reach_mm, reach_deg : float
        Planted errors are uniform over so much to each side, on every axis.
    pixels : int
        Rows and columns of the panels.
    case_folder : str
        Folder of DICOM files whose CT is used; empty for the built-in bodies.
    """

    name: str
    kinds: tuple[str, ...]
    cases: int
    seed: int = 0
    reach_mm: float = 10.0
    reach_deg: float = 3.0
    pixels: int = 512
    case_folder: str = ""

    def __post_init__(self) -> None:
        if self.name not in KINDS:
            raise UnusableStudy(f"there is no study {self.name!r}", hint=f"Studies: {', '.join(KINDS)}.")
        unknown = sorted(set(self.kinds) - set(KINDS[self.name]))
        if unknown or not self.kinds:
            words = ", ".join(KINDS[self.name])
            raise UnusableStudy(
                f"unknown kinds of cases: {', '.join(unknown) or 'none given'}", hint=f"Kinds: {words}."
            )
        if self.cases < 1 or self.reach_mm < 0 or self.reach_deg < 0 or not 64 <= self.pixels <= 2048:
            raise UnusableStudy("a study needs at least one case, reaches of at least 0, and 64 to 2048 pixels")

    def pairs(self) -> list[tuple[str, int]]:
        """Kind and number of every case, in the order of the table."""
        return [(kind, number) for kind in self.kinds for number in range(self.cases)]

    def facts(self) -> dict[str, Any]:
        """JSON types that tell this plan from every other."""
        return {**asdict(self), "kinds": list(self.kinds)}


def run_case(plan: StudyPlan, kind: str, number: int) -> Row:
    """Run one case; an error of the match is part of the row, everything else is raised."""
    rng = np.random.default_rng((plan.seed, KINDS[plan.name].index(kind), number))
    reach = np.array([plan.reach_mm] * 3 + [plan.reach_deg] * 3)
    planted = rng.uniform(-reach, reach)
    row: Row = {
        "kind": kind,
        "number": number,
        "planted": [float(value) for value in planted],
        "worker": f"{socket.gethostname()}:{os.getpid()}",
    }
    error = setup_error(*(float(value) for value in planted))
    try:
        match, planned = _MATCHES[plan.name](plan, kind, number, error)
    except IsoalignError as problem:
        return {**row, "verdict": "error", "reasons": [f"{problem.code}: {problem}"]}
    left = match.found @ (error @ planned).inverse()
    residual = residual_of(left)
    return {
        **row,
        "verdict": match.verdict.value,
        "reasons": list(match.reasons),
        "error_mm": float(np.linalg.norm(left.apply(TARGETS_MM) - TARGETS_MM, axis=1).mean()),
        "isocentre_error_mm": residual.distance_mm,
        "error_deg": residual.angle_deg,
        "iterations": match.iterations,
        "duration_s": match.duration_s,
    }


def _radiographs(
    plan: StudyPlan, kind: str, number: int, error: Pose[Fixed, Fixed]
) -> tuple[Match, Pose[Fixed, DicomPatient]]:
    from isoalign.registration import match_2d3d
    from isoalign.simulators.panel_image import expose
    from isoalign.simulators.scene import ImagerTruth, Scene, SceneVolume

    volume, isocentre_mm = _planning(plan.case_folder)
    planned = planned_fixed_from_dicom(volume.patient_position, isocentre_mm)
    how = _KV_KINDS[kind]
    pixel_mm = PANEL_MM / plan.pixels
    seen = round(plan.pixels * how.seen)
    imagers = {
        name: ImagerTruth(angle, SAD_MM, SID_MM, rows=seen, columns=seen, pixel_mm=pixel_mm)
        for name, angle in (("A", 0.0), ("B", 90.0))
    }
    scene = Scene(
        imagers=imagers,
        seed=1000 * plan.seed + number,
        volume=SceneVolume(np.asarray(volume.hounsfield, np.int16), volume.dicom_from_index),
        table_from_dicom=fixed_from_table(SETUP).inverse() @ error @ planned,
        couch_top=how.couch_top,
        fixed_table_position=SETUP,
    )
    technique = Technique(100.0, 100.0, how.exposure_ms)
    images = [
        Radiograph(
            expose(scene, name, scene.fixed_pose(), technique, 1, physics=how.physics()),
            imager.geometry(),
            Acquisition(name, 1, technique, datetime(2026, 1, 1, tzinfo=UTC), SETUP),
        )
        for name, imager in imagers.items()
    ]
    return match_2d3d(_prepared(plan.case_folder), images, planned), planned


def _volumes(
    plan: StudyPlan, kind: str, number: int, error: Pose[Fixed, Fixed]
) -> tuple[Match, Pose[Fixed, DicomPatient]]:
    from isoalign.registration import match_3d3d
    from isoalign.simulators import body_scan

    planned = planned_fixed_from_dicom(PatientPosition.HFS, np.zeros(3))
    day_from_planning = planned.inverse() @ error @ planned
    rng = np.random.default_rng((plan.seed, number, 5))
    day = body_scan.scan(
        body_scan.trunk(0, gas_seed=500 + number),
        day_from_planning,
        body_scan.ScanGrid(),
        faults=body_scan.HARD_CONE_BEAM if kind == "hard" else body_scan.EASY_CONE_BEAM,
        still=body_scan.couch(82.0, rng.uniform(-20, 20)),
        seed=number,
    )
    scan = match_3d3d(_prepared_scan(), day)
    return scan.in_room(planned, planned), planned


@dataclass(frozen=True, slots=True)
class _KvKind:
    """How the kV images of one kind of case are taken.

    Attributes
    ----------
    seen : float
        Part of the panel's width that is read; less cuts the anatomy off.
    """

    exposure_ms: float = 50.0
    seen: float = 1.0
    couch_top: bool = False
    changes: Mapping[str, float] | None = None

    def physics(self) -> PanelPhysics:
        from isoalign.simulators.panel_image import PanelPhysics

        return PanelPhysics(**(self.changes or {}))  # type: ignore[arg-type]


_CLEAN = {"scatter_fraction": 0.0, "gain_shading": 0.0, "gain_spread": 0.0, "electronic_noise_counts": 0.0}
_KV_KINDS = {
    "clean": _KvKind(changes=_CLEAN),
    "noisy": _KvKind(exposure_ms=2.0),
    "scatter": _KvKind(changes={"scatter_fraction": 0.5}),
    "truncated": _KvKind(seen=0.5),
    "couch": _KvKind(couch_top=True),
}
KINDS: dict[str, tuple[str, ...]] = {"radiographs": tuple(_KV_KINDS), "volumes": ("easy", "hard")}
"""The kinds of cases of every study."""

_MATCHES: dict[str, Callable[[StudyPlan, str, int, Pose[Fixed, Fixed]], tuple[Match, Pose[Fixed, DicomPatient]]]] = {
    "radiographs": _radiographs,
    "volumes": _volumes,
}


@lru_cache(maxsize=2)
def _planning(case_folder: str) -> tuple[Volume, Array]:
    """CT and isocentre."""
    if not case_folder:
        from isoalign.simulators.phantom import head_phantom

        phantom = head_phantom()
        return phantom.volume, np.asarray(phantom.isocentre_mm)
    from isoalign.room.cases import read_case

    case = read_case(Path(case_folder))
    return case.volume, case.plan.beam().isocentre_mm


@lru_cache(maxsize=2)
def _prepared(case_folder: str) -> PreparedVolume:
    from isoalign.registration import prepare

    return prepare(_planning(case_folder)[0])


@lru_cache(maxsize=1)
def _prepared_scan() -> PreparedScan:
    from isoalign.registration import prepare_scan
    from isoalign.simulators.body_scan import ScanGrid, couch, scan, trunk

    identity = Pose.identity(DicomPatient, DicomPatient)
    return prepare_scan(scan(trunk(0), identity, ScanGrid(), still=couch()))
