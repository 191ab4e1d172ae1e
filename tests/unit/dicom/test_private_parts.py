"""Curves, private attributes, extended interface and character sets: bytes in files, and what is read from them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from isoalign.dicom.errors import CharactersNotWritable, ExtendedInterfaceRefused, InvalidAttribute, TooManyMarkers
from isoalign.dicom.object_settings import CharacterRepertoire, ObjectSettings, PrivateCreators
from isoalign.dicom.objects import (
    ExtendedInterface,
    add_extended_interface,
    encode_file,
    read_extended_interface,
    read_patient,
    read_rt_image,
    read_spatial_registration,
    read_structure_set,
)
from isoalign.dicom.objects.curves import add_marker_curves, read_marker_curves
from isoalign.dicom.objects.examples import FIRST, example_objects
from isoalign.dicom.objects.private import add_private, private_items, private_text, private_vector


def again(dataset: Dataset) -> Dataset:
    return pydicom.dcmread(BytesIO(encode_file(dataset)))


def test_a_marker_is_a_curve_of_one_point_in_double_precision() -> None:
    image = Dataset()
    add_marker_curves(image, [(5.25, 7.5), (100.125, -3.0)])
    assert image[0x5002, 0x3000].value == struct.pack("<2d", 100.125, -3.0)
    assert read_marker_curves(image, "image").tolist() == [[5.25, 7.5], [100.125, -3.0]]


def test_other_curves_are_passed_over_and_other_numbers_are_read() -> None:
    image = Dataset()
    add_marker_curves(image, [(1.0, 2.0), (3.0, 4.0)])
    image[0x5000, 0x0020].value = "ECG"
    image[0x5002, 0x0103].value = 2
    image[0x5002, 0x3000].value = struct.pack("<2f", 8.5, 9.5)
    assert read_marker_curves(image, "image").tolist() == [[8.5, 9.5]]


@pytest.mark.parametrize("data", [b"", struct.pack("<d", 1.0), struct.pack("<2d", float("nan"), 1.0)])
def test_a_marker_without_its_point_is_refused(data: bytes) -> None:
    image = Dataset()
    add_marker_curves(image, [(1.0, 2.0)])
    image[0x5000, 0x3000].value = data
    with pytest.raises(InvalidAttribute, match=r"5000,3000"):
        read_marker_curves(image, "image")


def test_sixteen_markers_fit_an_image() -> None:
    image = Dataset()
    add_marker_curves(image, np.zeros((16, 2)))
    assert len(read_marker_curves(image, "image")) == 16
    with pytest.raises(TooManyMarkers, match="17"):
        add_marker_curves(image, np.zeros((17, 2)))


@pytest.mark.parametrize("as_bytes", [False, True])
def test_private_values_are_read_whatever_their_representation(as_bytes: bool) -> None:
    dataset = Dataset()
    add_private(
        dataset, "SOMEONE", 0x3273, 0x00, "UN" if as_bytes else "DS", b"1.5\\2\\-3 " if as_bytes else [1.5, 2, -3]
    )
    add_private(dataset, "SOMEONE", 0x3273, 0x01, "UN" if as_bytes else "CS", b"HFS " if as_bytes else "HFS")
    vector = private_vector(dataset, "SOMEONE", 0x3273, 0x00, 3, "here")
    assert vector is not None
    assert vector.tolist() == [1.5, 2, -3]
    assert private_text(dataset, "SOMEONE", 0x3273, 0x01) == "HFS"
    assert private_text(dataset, "SOMEONE ELSE", 0x3273, 0x01) == ""
    with pytest.raises(InvalidAttribute, match=r"3273,xx00"):
        private_vector(dataset, "SOMEONE", 0x3273, 0x00, 2, "here")


@pytest.mark.parametrize("undefined", [True, False])
def test_a_private_sequence_is_read_with_and_without_a_stated_length(undefined: bool) -> None:
    """With a stated length, implicit VR does not tell that it is a sequence."""
    objects = example_objects()
    markers = objects["MARKERS"]
    block = markers.private_block(0x3263, "Varian Medical Systems VISION 3263")
    block[0x01].is_undefined_length = undefined
    read = again(markers)
    (item,) = private_items(read, "Varian Medical Systems VISION 3263", 0x3263, 0x01)
    assert item.ReferencedSOPInstanceUID == objects["RTSTRUCT"].SOPInstanceUID
    (related,) = read_structure_set(read).related
    assert (related.sop_instance_uid, related.relationship) == (objects["RTSTRUCT"].SOPInstanceUID, "ADDITION")


def test_all_creators_can_be_changed() -> None:
    creators = PrivateCreators("SITE 1", "SITE 2", "SITE 3", "SITE 4", "SITE 5")
    settings = ObjectSettings(creators=creators)
    objects = {name: again(one) for name, one in example_objects(replace(FIRST, settings=settings)).items()}
    assert all(b"VISION" not in encode_file(one) for one in objects.values())
    assert read_extended_interface(objects["RTIONPLAN"], settings) == ExtendedInterface(b"<Plan/>\n", 8)
    assert read_structure_set(objects["MARKERS"], settings).related[0].relationship == "ADDITION"
    assert read_structure_set(objects["MARKERS"], settings).structure_set.structures[0].marker_subtype == "MARKER"
    assert read_spatial_registration(objects["REG marker"], settings).sub_type == "OnlineMarker"
    del objects["RTIMAGE"].IsocenterPosition
    isocentre = read_rt_image(objects["RTIMAGE"], settings).isocentre_mm
    assert isocentre is not None
    assert isocentre.tolist() == [0, 0, 0]
    assert read_rt_image(objects["RTIMAGE"]).isocentre_mm is None


def test_an_extended_interface_is_carried_byte_for_byte() -> None:
    content = b'<?xml version="1.0" encoding="utf-8"?>\r\n<A x="1"><B>  \xc3\xa4 </B></A> '
    image = example_objects()["RTIMAGE"]
    add_extended_interface(image, ExtendedInterface(content, 71, "ImageProcessing"))
    read = read_extended_interface(again(image))
    assert read == ExtendedInterface(content, 71, "ImageProcessing")
    root = read.parse()
    assert (root.tag, root.attrib, root[0].text) == ("A", {"x": "1"}, "  ä ")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'<!DOCTYPE a [<!ENTITY b "boom">]><a>&b;</a>', "document type definition"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>', "document type definition"),
        (b"<a>&undeclared;</a>", "not well-formed"),
        (b"<a><b></a>", "not well-formed"),
        (b"", "not well-formed"),
        (b"<a>" * 300 + b"</a>" * 300, "nests more than 200"),
        (b'<?xml version="1.0" encoding="no-such-code"?><a/>', "not well-formed"),
        (b" " * (16 * 2**20 + 1), "bytes"),
    ],
)
def test_a_document_that_may_do_harm_is_refused(content: bytes, complaint: str) -> None:
    with pytest.raises(ExtendedInterfaceRefused, match=complaint):
        ExtendedInterface(content).parse()


@pytest.mark.real_data
def test_extended_interfaces_of_vendors_are_read_and_written_back_unchanged(
    real_data_folder: Path, unpack: Callable[[Path], Path]
) -> None:
    paths = [*real_data_folder.glob("ion_plans/*/RN*.dcm"), real_data_folder / "dcpt_head_phantom" / "ion_plan.dcm"]
    paths += sorted(unpack(real_data_folder / "rt_images" / "rt_images.tar.xz").rglob("*"))
    found = 0
    for path in paths:
        if not path.is_file() or path.read_bytes()[128:132] != b"DICM":
            continue
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        interface = read_extended_interface(dataset)
        if interface is None:
            continue
        found += 1
        assert interface.parse().tag
        carrier = example_objects()["RTIONPLAN"]
        add_extended_interface(carrier, interface)
        assert read_extended_interface(again(carrier)) == interface
    assert found >= 10


CODED = [
    ("ISO_IR 100", "Müller^Jörg".encode("latin-1"), "Müller^Jörg"),
    ("ISO_IR 144", "Люкceмбypг".encode("iso8859-5"), "Люкceмбypг"),
    ("ISO_IR 192", "王^小東".encode(), "王^小東"),
    ("GB18030", "王^小东".encode("gb18030"), "王^小东"),
    ("\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada^Tarou=山田^太郎"),
]


@pytest.mark.parametrize(("declared", "encoded", "text"), CODED, ids=[one[0] for one in CODED])
def test_any_character_set_is_read_and_written_as_utf_8(declared: str, encoded: bytes, text: str) -> None:
    """The bytes are what another system would have written."""
    plain = encode_file(example_objects()["RTIMAGE"])
    old = b"Test^Only "
    padded = encoded + b" " * (len(encoded) % 2)
    charset = declared.encode() + b" " * (len(declared) % 2)
    foreign = plain.replace(
        struct.pack("<HHI", 0x10, 0x10, len(old)) + old, struct.pack("<HHI", 0x10, 0x10, len(padded)) + padded
    )
    first = struct.pack("<HHI", 0x08, 0x08, 24)
    assert first in foreign
    foreign = foreign.replace(first, struct.pack("<HHI", 0x08, 0x05, len(charset)) + charset + first, 1)
    read = pydicom.dcmread(BytesIO(foreign))
    patient = read_patient(read)
    assert patient.name == text
    written = example_objects(replace(FIRST, patient=patient))["RTIMAGE"]
    assert written.SpecificCharacterSet == "ISO_IR 192"
    assert text.encode() in encode_file(written)
    assert read_patient(again(written)).name == text


def test_the_default_repertoire_refuses_other_text_and_says_where_not_what() -> None:
    settings = ObjectSettings(characters=CharacterRepertoire.DEFAULT)
    patient = replace(FIRST.patient, name="Müller^Jörg")
    with pytest.raises(CharactersNotWritable, match=r"\(0010,0010\)") as caught:
        example_objects(replace(FIRST, patient=patient, settings=settings))
    assert "ller" not in str(caught.value)
    assert "SpecificCharacterSet" not in example_objects(replace(FIRST, settings=settings))["RTIMAGE"]


@pytest.mark.parametrize(
    ("stated", "written"), [("F", "F"), ("female", "F"), ("M", "M"), ("Male", "M"), ("O", "O"), ("", "O"), ("X", "O")]
)
def test_the_sex_is_written_as_the_statement_says(stated: str, written: str) -> None:
    patient = replace(FIRST.patient, sex=stated)
    assert example_objects(replace(FIRST, patient=patient))["CT"].PatientSex == written
