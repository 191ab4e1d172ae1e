"""What a session sends to the archive, made from its passes.

Images always go, a Spatial Registration only where a match was accepted: it would be taken for a finding. Source:
sections 2.1.2.1 and 2.2.3.1 of the conformance statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from isoalign.dicom.objects import (
    Dataset,
    ExportContext,
    ObjectSettings,
    RelatedStructureSet,
    RtImageDetails,
    Series,
    VerificationFrame,
    build_drr_image,
    build_marker_structure_set,
    build_rt_image,
    build_spatial_registration,
    build_structure_set,
    carried_onto,
    marker_structure,
    read_file,
    set_related,
)
from isoalign.dicom.objects.curves import MOST_MARKERS
from isoalign.geometry import Array, DicomPatient, Fixed, Pose
from isoalign.records import Beam, CtReference, ImagingPass, MarkerState, Match, Structure, Verdict, Volume
from isoalign.room.session_data import AcquiredScan, PatientLoad

if TYPE_CHECKING:
    from isoalign.imaging import AttenuationVolume


class _Place(TypedDict):
    series: Series
    instance_number: int


@dataclass(frozen=True, slots=True)
class BuiltResults:
    """Objects of our own, and files of others that go with them as they came."""

    datasets: tuple[Dataset, ...]
    received: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class _Reconstructed:
    """A CT from which radiographs are reconstructed, and where it lies then."""

    volume: Volume
    attenuation: AttenuationVolume
    pose: Pose[Fixed, DicomPatient]
    frame_of_reference_uid: str
    isocentre_mm: Array

    @classmethod
    def from_scan(cls, scan: AcquiredScan) -> _Reconstructed:
        """A scan at its initial laser isocentre."""
        from isoalign.imaging import attenuation_volume

        volume = scan.volume
        frame_uid, isocentre = scan.frame.frame_of_reference_uid, scan.initial_laser_mm
        return cls(volume, attenuation_volume(volume), scan.initial_laser_pose, frame_uid, isocentre)


@dataclass
class SessionResults:
    """Builds the objects of one session; series are numbered from 1 in the order in which they are begun.

    Parameters
    ----------
    load : PatientLoad
    beam : Beam
    machine_name : str
    settings : ObjectSettings
    """

    load: PatientLoad
    beam: Beam
    machine_name: str
    settings: ObjectSettings
    _frame: VerificationFrame | None = None
    _series: dict[str, Series] = field(default_factory=dict)
    _instances: dict[str, int] = field(default_factory=dict)
    _markers_are_told: bool = False

    def build(
        self, passes: Sequence[ImagingPass], scans: Mapping[str, AcquiredScan], created_at: datetime
    ) -> BuiltResults:
        """The objects of some passes, images before registrations.

        Parameters
        ----------
        scans : mapping of Series Instance UID to AcquiredScan
            Every in-room CT of the session.
        """
        images: list[Dataset] = []
        registrations: list[Dataset] = []
        received: list[Path] = []
        for one in passes:
            scan = None if one.scan is None else scans[one.scan.series_instance_uid]
            if one.radiographs:
                made, found = self._of_radiographs(one, scan, created_at)
            else:
                assert scan is not None  # a pass has radiographs or a scan
                made, found, files = self._of_scan(one, scan, created_at)
                received += files
            images += made
            registrations += found
        return BuiltResults((*images, *registrations), tuple(received))

    def _of_radiographs(
        self, one: ImagingPass, scan: AcquiredScan | None, created_at: datetime
    ) -> tuple[list[Dataset], list[Dataset]]:
        if self._frame is None:
            self._frame = VerificationFrame(self.load.plan.patient_position, one.table_top)
        context = self._context(self._frame)
        images = [
            build_rt_image(
                radiograph,
                context,
                created_at=created_at,
                details=RtImageDetails(markers_px=_matched_markers(one.match, radiograph.acquisition.imager)),
                settings=self.settings,
                **self._next("RTIMAGE"),
            )
            for radiograph in one.radiographs
        ]
        if one.match.verdict is not Verdict.ACCEPTED:
            return images, []
        if scan is not None and scan.day_from_planning is not None:
            # the finding is between the scan and the radiographs: told by radiographs reconstructed from the scan
            drrs = self._drrs(one, _Reconstructed.from_scan(scan), created_at)
            between = replace(one.match, kind="2D/2D", found=one.match.found @ scan.day_from_planning.inverse())
            return [*images, *drrs], [self._registration(between, one, images, context, created_at, drrs=drrs)]
        if one.match.kind == "2D/2D":
            drrs = self._drrs(one, self._planned_view(one.match), created_at)
            return [*images, *drrs], [self._registration(one.match, one, images, context, created_at, drrs=drrs)]
        ct = self.load.structure_set.ct
        made = [self._registration(one.match, one, images, context, created_at, ct=ct)]
        return [*images, *self._marker_structures(one.match, created_at)], made

    def _planned_view(self, match: Match) -> _Reconstructed:
        """The planning CT where the plan wants it."""
        frame_uid, isocentre = self.load.plan.frame_of_reference_uid, self.beam.isocentre_mm
        return _Reconstructed(self.load.volume, self.load.prepared.attenuation, match.planned, frame_uid, isocentre)

    def _marker_structures(self, match: Match, created_at: datetime) -> list[Dataset]:
        """The markers that the session's matches rest on, as the planning CT shows them; once in a session."""
        if not match.markers or self._markers_are_told:
            return []
        self._markers_are_told = True
        dataset = build_marker_structure_set(
            [marker_structure(number, one.name, one.planned_mm) for number, one in enumerate(match.markers, 1)],
            self.load.structure_set,
            created_at=created_at,
            settings=self.settings,
            **self._next("RTSTRUCT"),
        )
        return [dataset]

    def _drrs(self, one: ImagingPass, seen: _Reconstructed, created_at: datetime) -> list[Dataset]:
        """With the imagers where they are."""
        from isoalign.imaging import render_drr

        return [
            build_drr_image(
                render_drr(seen.attenuation, radiograph.geometry, seen.pose),
                radiograph.geometry,
                patient=self.load.plan.patient,
                study=self.load.plan.study,
                frame_of_reference_uid=seen.frame_of_reference_uid,
                patient_position=seen.volume.patient_position,
                isocentre_mm=seen.isocentre_mm,
                created_at=created_at,
                label=f"DRR {radiograph.acquisition.imager}",
                plan=self.load.plan,
                beam_number=self.beam.number,
                machine_name=self.machine_name,
                settings=self.settings,
                **self._next("DRR"),
            )
            for radiograph in one.radiographs
        ]

    def _of_scan(
        self, one: ImagingPass, scan: AcquiredScan, created_at: datetime
    ) -> tuple[list[Dataset], list[Dataset], tuple[Path, ...]]:
        made = [self._structure_set(scan.isocentres, scan, "ISOCENTRES", created_at)]
        found = []
        if one.match.verdict is Verdict.ACCEPTED and scan.day_from_planning is not None:
            made.append(self._carried_structures(scan, created_at))
            images = [read_file(path) for path in scan.files]
            context = self._context(scan.frame)
            ct = self.load.structure_set.ct
            found.append(self._registration(one.match, one, images, context, created_at, ct=ct))
        return made, found, scan.files

    def _carried_structures(self, scan: AcquiredScan, created_at: datetime) -> Dataset:
        """The volumes of the planning structure set where the scan shows them, on the planes of the scan."""
        planning, pose = self.load.structure_set, scan.day_from_planning
        assert pose is not None
        positions = scan.volume.origin_mm[2] + scan.volume.image_offsets_mm * float(scan.volume.axes[2, 2])
        carried = [
            carried_onto(one, pose, positions) for one in planning.structures if one.geometric_type == "CLOSED_PLANAR"
        ]
        dataset = self._structure_set(carried, scan, "CARRIED", created_at)
        set_related(dataset, [RelatedStructureSet(planning.sop_instance_uid, "PREDECESSOR")], self.settings)
        return dataset

    def _structure_set(
        self, structures: Sequence[Structure], scan: AcquiredScan, label: str, created_at: datetime
    ) -> Dataset:
        return build_structure_set(
            structures,
            scan.volume,
            patient=self.load.plan.patient,
            study=scan.study,
            created_at=created_at,
            label=label,
            settings=self.settings,
            **self._next("RTSTRUCT"),
        )

    def _registration(
        self,
        match: Match,
        one: ImagingPass,
        images: Sequence[Dataset],
        context: ExportContext,
        created_at: datetime,
        *,
        ct: CtReference | None = None,
        drrs: Sequence[Dataset] = (),
    ) -> Dataset:
        return build_spatial_registration(
            match,
            one.table_top,
            images,
            context,
            created_at=created_at,
            ct=ct,
            drrs=drrs,
            settings=self.settings,
            **self._next("REG"),
        )

    def _context(self, frame: VerificationFrame) -> ExportContext:
        return ExportContext(self.load.plan, self.beam.number, frame, self.machine_name)

    def _next(self, kind: str) -> _Place:
        """Series and instance number of the next object of a kind."""
        series = self._series.setdefault(kind, Series(len(self._series) + 1))
        self._instances[kind] = self._instances.get(kind, 0) + 1
        return {"series": series, "instance_number": self._instances[kind]}


def _matched_markers(match: Match, imager: str) -> tuple[tuple[float, float], ...]:
    """Where an accepted marker match found its markers in the image of one imager, as many as an image has room for."""
    if match.verdict is not Verdict.ACCEPTED:
        return ()
    found = (
        shadow.found_px
        for one in match.markers
        if one.state is MarkerState.MATCHED
        for shadow in one.shadows
        if shadow.imager == imager and shadow.found_px is not None
    )
    return tuple(found)[:MOST_MARKERS]
