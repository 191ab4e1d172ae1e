"""Readers of RT Image, RT Ion Plan, acquired CT and structure set: round trips, dialects of vendors, refusals."""

from __future__ import annotations

import lzma
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from isoalign.dicom.errors import InvalidAttribute, MissingAttribute, WrongObject
from isoalign.dicom.objects import (
    Series,
    build_ion_plan,
    encode_file,
    is_marker,
    isocentre_angles_deg,
    marker_structure,
    read_bytes,
    read_ct_acquisition,
    read_file,
    read_plan,
    read_plan_reference,
    read_rt_image,
    read_structure_set,
)
from isoalign.dicom.objects.examples import FIRST, SECOND, ExampleInputs, example_objects
from isoalign.geometry import InconsistentProjection, PatientPosition, Representation, TableTopPosition

BOTH = pytest.mark.parametrize("inputs", [FIRST, SECOND], ids=["first", "second"])


def again(dataset: Dataset) -> Dataset:
    return pydicom.dcmread(BytesIO(encode_file(dataset)))


@BOTH
def test_rt_image_reads_back(inputs: ExampleInputs) -> None:
    number = inputs.number
    read = read_rt_image(again(example_objects(inputs)["RTIMAGE"]))
    assert read.image_type == ("ORIGINAL", "PRIMARY", "PORTAL")
    assert read.frame_of_reference_uid == f"{inputs.uid}.2"
    np.testing.assert_array_equal(read.pixels, np.arange(192 * number**2).reshape(16 * number, 12 * number))
    axis = read.geometry.axis
    assert axis is not None
    assert (axis.gantry_angle_deg, axis.sad_mm, axis.sid_mm) == (90.0 * number, 1000.0 + number, 1500.0 + number)
    assert (axis.receptor_translation_mm, axis.receptor_angle_deg) == ((0.5 * number, -0.25), 2.0 * number)
    grid = read.geometry.grid
    assert (grid.row_spacing_mm, grid.column_spacing_mm, grid.first_pixel_mm) == (
        pytest.approx(0.4 * number),
        pytest.approx(0.5 * number),
        (-2.75 * number, 3.0),
    )
    assert read.patient_position is inputs.position
    assert read.isocentre_mm == pytest.approx(np.zeros(3), abs=1e-9)
    assert read.table_top is not None
    assert read.table_top.values == pytest.approx((*inputs.table_top.values[:5], read.table_top.values[5]))
    assert (read.table_top.patient_support_angle_deg - inputs.table_top.patient_support_angle_deg) % 360 == 0
    assert read.technique is not None
    assert (read.technique.tube_voltage_kv, read.technique.tube_current_ma) == (99.0 + number, 98.0 + number)
    assert (read.plan_uid, read.beam_number, read.fraction_number) == (f"{inputs.uid}.3", number, number + 2)
    assert read.details.markers_px == ((5.25 * number, 7.5),)
    assert read.details.jaws[0].positions_mm == (-50.0 * number, 60.0)
    assert read.details.cumulative_meterset_weights == (0.25 * number, 0.5 * number)
    assert read.details.extended_interface is not None


def test_drr_reads_back_as_line_integrals() -> None:
    read = read_rt_image(again(example_objects()["DRR"]))
    integrals = read.pixels * read.rescale_slope + read.rescale_intercept
    np.testing.assert_allclose(integrals, np.linspace(0, 6, 192).reshape(16, 12), atol=6 / 65535)
    assert (read.table_top, read.technique) == (None, None)


TYPE_1 = ["RTImageLabel", "FrameOfReferenceUID", "PixelData", "ImagePlanePixelSpacing", "RTImageSID", "RTImagePosition"]


@pytest.mark.parametrize("keyword", TYPE_1)
def test_an_rt_image_without_what_says_where_it_is_is_refused(keyword: str) -> None:
    image = again(example_objects()["RTIMAGE"])
    delattr(image, keyword)
    with pytest.raises(MissingAttribute) as caught:
        read_rt_image(image)
    assert keyword in caught.value.facts["attributes"]


def test_a_missing_gantry_angle_is_looked_for_in_the_exposure_and_not_guessed() -> None:
    image = again(example_objects()["RTIMAGE"])
    del image.GantryAngle
    axis = read_rt_image(image).geometry.axis
    assert axis is not None
    assert axis.gantry_angle_deg == 90.0
    del image.ExposureSequence[0].GantryAngle
    with pytest.raises(MissingAttribute, match=r"Gantry Angle \(300A,011E\)"):
        read_rt_image(image)


def test_missing_pitch_and_roll_are_zero_and_a_missing_translation_is_not() -> None:
    image = again(example_objects()["RTIMAGE"])
    for item in (image, image.ExposureSequence[0]):
        del item.TableTopPitchAngle, item.TableTopRollAngle
    read = read_rt_image(image).table_top
    assert read is not None
    assert (read.pitch_deg, read.roll_deg) == (0.0, 0.0)
    for item in (image, image.ExposureSequence[0]):
        del item.TableTopVerticalPosition
    assert read_rt_image(image).table_top is None


@pytest.mark.parametrize(
    ("keyword", "value", "error"),
    [
        ("RTImagePlane", "NON_NORMAL", InvalidAttribute),
        ("RTImageOrientation", [0, 1, 0, 1, 0, 0], InvalidAttribute),
        ("XRayImageReceptorTranslation", [0, 0, 500], InconsistentProjection),
        ("IsocenterPosition", [0, 0, 5], InvalidAttribute),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2", WrongObject),
    ],
)
def test_an_rt_image_that_contradicts_itself_is_refused(keyword: str, value: object, error: type[Exception]) -> None:
    image = again(example_objects()["RTIMAGE"])
    setattr(image, keyword, value)
    with pytest.raises(error):
        read_rt_image(image)


@pytest.mark.real_data
def test_rt_images_of_a_vendor_are_read(real_data_folder: Path, unpack: Callable[[Path], Path]) -> None:
    """Geometry against the figures that stand in the data's description: SID 1500, pitch 359.998, roll 359.999."""
    folder = unpack(real_data_folder / "rt_images" / "rt_images.tar.xz")
    read = {
        path.name: read_rt_image(read_file(path))
        for path in sorted(folder.rglob("TX*.dcm"))
        if path.read_bytes()[128:132] == b"DICM"
    }
    assert len(read) >= 4
    for one in read.values():
        assert one.geometry.axis is not None
        assert one.geometry.axis.sid_mm == pytest.approx(1500.0, abs=0.1)
        assert one.patient_position is PatientPosition.HFS
        assert one.isocentre_mm is not None
    tilted = read["TX1_000.dcm"].table_top
    assert tilted is not None
    assert (tilted.pitch_deg, tilted.roll_deg) == (pytest.approx(-0.002, abs=1e-3), pytest.approx(-0.001, abs=1e-3))


@pytest.mark.real_data
def test_a_portal_image_without_geometry_is_refused_with_what_is_missing(real_data_folder: Path) -> None:
    packed = next((real_data_folder / "small_rt").glob("elekta*.xz"))
    with pytest.raises(MissingAttribute) as caught:
        read_rt_image(read_bytes(lzma.decompress(packed.read_bytes()), packed.name))
    assert "FrameOfReferenceUID" in caught.value.facts["attributes"]


@BOTH
def test_acquired_ct_reads_back_and_table_height_counts_downwards(inputs: ExampleInputs) -> None:
    image = again(example_objects(inputs)["CT"])
    assert image.TableHeight == -inputs.table_top.vertical_mm
    read = read_ct_acquisition(image)
    number = inputs.number
    assert read.acquired_at == inputs.moment
    assert read.table_top is not None
    assert read.table_top.values[:5] == pytest.approx(inputs.table_top.values[:5])
    assert (read.tube_voltage_kv, read.exposure_mas, read.source_axis_mm) == (110 + number, 432 + number, 1000 + number)
    assert (read.scan_options, read.focal_spots_mm) == ((f"HALF{number}",), (0.4 * number, 0.8))
    assert read.irradiation_event_uid == f"{inputs.uid}.6"
    assert read_plan_reference(image) == f"{inputs.uid}.3"


def test_the_table_of_a_ct_in_another_representation_is_written_in_iec_61217() -> None:
    """Pitch 90 degrees about the isocentre takes 100 mm along the table to 100 mm up: by hand, IEC vertical is 100."""
    from dataclasses import replace

    top = TableTopPosition(Representation.ISOCENTRIC_STANDARD, 0.0, 100.0, 0.0, pitch_deg=90.0)
    image = example_objects(replace(FIRST, table_top=top))["CT"]
    assert float(image.TableHeight) == pytest.approx(-100.0, abs=1e-9)
    assert float(image.TableTopLongitudinalPosition) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("archive", "lateral", "longitudinal", "vertical"),
    [("isocube_cbct", -25.0, 1275.0, 1.0), ("catphan_cbct", *[None] * 3)],
)
def test_cone_beam_cts_of_a_vendor_are_read(
    real_data_folder: Path,
    unpack: Callable[[Path], Path],
    archive: str,
    lateral: float | None,
    longitudinal: float | None,
    vertical: float | None,
) -> None:
    """Table of the cube: longitudinal 1275, lateral -25, Table Height -1 mm, as the data's description says."""
    folder = unpack(real_data_folder / archive / f"{archive}.tar.xz")
    image = read_file(next(path for path in sorted(folder.rglob("*")) if path.is_file()))
    read = read_ct_acquisition(image)
    assert read.tube_voltage_kv > 0
    if lateral is not None:
        assert read.table_top is not None
        assert read.table_top.values[:3] == (lateral, longitudinal, vertical)


@BOTH
def test_plan_reads_back_with_tolerances_range_shifters_and_snout(inputs: ExampleInputs) -> None:
    plan = read_plan(again(example_objects(inputs)["RTIONPLAN"]))
    beam = plan.beam()
    table = plan.tolerance_of(beam)
    assert table is not None
    assert (table.label, table.gantry_angle_deg, table.table_top_lateral_mm) == (f"T{inputs.number}", 0.5, 20.0)
    assert beam.range_shifters[0].isocentre_distance_mm == 275.5 + inputs.number
    assert beam.snout is not None
    assert beam.snout.position_mm == 230.5 + inputs.number
    assert plan.fraction_group_number == inputs.number
    assert_same_plan(read_plan(again(build_ion_plan(plan, series=Series(1), created_at=inputs.moment))), plan)


@pytest.mark.real_data
def test_plans_of_vendors_read_back_as_they_were(real_data_folder: Path) -> None:
    """What is read of a real plan and written is read again; figures of the head phantom typed from its file."""
    paths = [
        *(path for path in real_data_folder.glob("ion_plans/*/*.dcm") if not path.name.startswith("RS")),
        *real_data_folder.glob("dcpt_head_phantom/ion_plan*.dcm"),
    ]
    assert len(paths) == 5
    for path in paths:
        plan = read_plan(read_file(path))
        assert_same_plan(read_plan(again(build_ion_plan(plan, series=Series(1), created_at=FIRST.moment))), plan)
        assert all(plan.tolerance_of(beam) is not None for beam in plan.beams)
    head = read_plan(read_file(real_data_folder / "dcpt_head_phantom" / "ion_plan.dcm"))
    beam = head.beam()
    assert (beam.table_top_lateral_mm, beam.table_top_vertical_mm) == (None, None)
    shifter = beam.range_shifters[0]
    assert (shifter.identifier, shifter.setting, shifter.water_equivalent_thickness_mm) == ("RS_5CM", "IN", 57.0)
    assert beam.snout is not None
    assert beam.snout.position_mm == pytest.approx(232.531234)


def assert_same_plan(found: object, expected: object) -> None:
    from dataclasses import fields, is_dataclass

    if is_dataclass(expected):
        for one in fields(expected):
            assert_same_plan(getattr(found, one.name), getattr(expected, one.name))
    elif isinstance(expected, tuple):
        assert isinstance(found, tuple)
        assert len(found) == len(expected)
        for left, right in zip(found, expected, strict=True):
            assert_same_plan(left, right)
    elif isinstance(expected, float | np.ndarray):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)  # type: ignore[arg-type]
    elif isinstance(expected, str):
        assert str(found) == expected or (found == "O" and expected == "")
    else:
        assert found == expected


@BOTH
def test_isocentres_read_back_with_their_angles(inputs: ExampleInputs) -> None:
    """Angles of the first example typed by hand: support 350 is -10, roll 359.25 is -0.75."""
    structures = read_structure_set(again(example_objects(inputs)["RTSTRUCT"])).structure_set.structures
    types = [one.interpreted_type for one in structures]
    assert types == ["EXTERNAL", "INITLASERISO", "ACQ_ISOCENTER", "INITMATCHISO"]
    assert [one.observation_label for one in structures[1:]] == ["InitLaserIso", "AcqIsocenter", "InitMatchIso"]
    expected = {1: (-10.0, 1.5, -0.75), 2: (12.0, -2.0, 1.0)}[inputs.number]
    for index, one in enumerate(structures[1:], start=1):
        assert isocentre_angles_deg(one) == pytest.approx(expected)
        assert one.contours_mm[0].tolist() == [[0.5 * inputs.number, 1.0 * inputs.number, index * inputs.number]]
    assert isocentre_angles_deg(structures[0]) is None


def test_isocentre_angles_are_read_with_underscores() -> None:
    dataset = again(example_objects()["RTSTRUCT"])
    for item in dataset.RTROIObservationsSequence[1].ROIPhysicalPropertiesSequence:
        item["ROIPhysicalProperty"]._value = str(item.ROIPhysicalProperty).replace(" ", "_")
    structure = read_structure_set(dataset).structure_set.structures[1]
    assert isocentre_angles_deg(structure) == pytest.approx((-10.0, 1.5, -0.75))


def test_markers_read_back_between_slices() -> None:
    objects = example_objects()
    read = read_structure_set(again(objects["MARKERS"]))
    (seed,) = read.structure_set.structures
    assert is_marker(seed)
    assert (seed.marker_subtype, seed.contours_mm[0].tolist()) == ("MARKER", [[1.0, 2.0, 0.5]])
    assert read.structure_set.frame_of_reference_uid == "2.25.1.2"
    assert read.structure_set.sop_instance_uid != objects["RTSTRUCT"].SOPInstanceUID
    assert len(read.structure_set.ct.sop_instance_uids) == 4


def test_what_is_no_marker() -> None:
    from dataclasses import replace

    seed = marker_structure(1, "Seed", (1, 2, 3))
    assert is_marker(replace(seed, marker_subtype=""))
    assert not is_marker(replace(seed, marker_subtype="CLIP"))
    assert not is_marker(replace(seed, interpreted_type="ORGAN"))
    assert not is_marker(replace(seed, contours_mm=seed.contours_mm * 2))


def test_a_number_of_points_that_is_wrong_is_refused() -> None:
    dataset = again(example_objects()["RTSTRUCT"])
    dataset.ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints = 5
    with pytest.raises(InvalidAttribute, match="holds 4 points"):
        read_structure_set(dataset)


def test_a_point_contour_of_several_points_is_left_out() -> None:
    dataset = again(example_objects()["MARKERS"])
    contour = dataset.ROIContourSequence[0].ContourSequence[0]
    contour.NumberOfContourPoints, contour.ContourData = 2, [0, 0, 0, 1, 1, 1]
    read = read_structure_set(dataset)
    assert read.structure_set.structures == ()
    assert "POINT contour has 2 points" in read.warnings[0]


@pytest.mark.parametrize(("off", "kept"), [(0.9e-6, True), (2e-6, False)])
def test_a_contour_may_leave_its_plane_by_a_millionth(off: float, kept: bool) -> None:
    dataset = again(example_objects()["RTSTRUCT"])
    data = dataset.ROIContourSequence[0].ContourSequence[0]
    data.ContourData = [-5, -4, -1, 5, -4, -1, 5, 5, f"{-1 - off:.7f}", -5, 5, -1]
    names = [one.name for one in read_structure_set(dataset).structure_set.structures]
    assert ("BODY1" in names) is kept


@pytest.mark.parametrize(
    ("sequence", "keyword"),
    [("ROIContourSequence", "ReferencedROINumber"), ("StructureSetROISequence", "ROINumber")],
)
def test_items_without_their_number_are_refused(sequence: str, keyword: str) -> None:
    dataset = again(example_objects()["RTSTRUCT"])
    delattr(dataset[sequence].value[0], keyword)
    with pytest.raises(MissingAttribute, match="ROI"):
        read_structure_set(dataset)
