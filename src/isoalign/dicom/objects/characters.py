"""Character sets: any is read, the default repertoire or UTF-8 is written.

Sources: DICOM PS3.3 C.12.1.1.2, PS3.5 6.1; section 4 of the conformance statement.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from isoalign.dicom.errors import CharactersNotWritable
from isoalign.dicom.object_settings import CharacterRepertoire, ObjectSettings
from isoalign.dicom.objects.attributes import attribute_name

TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""Value representations that Specific Character Set (0008,0005) is about."""

NUMBER_VRS = frozenset({"DS", "IS"})


def declare_characters(dataset: Dataset, settings: ObjectSettings) -> Dataset:
    """Set Specific Character Set (0008,0005) as the text of a finished dataset needs it; returns the dataset.

    Raises
    ------
    CharactersNotWritable
        When only the default repertoire may be written and some text does not fit; names the attribute, not the text.
    """
    beyond = next(_beyond_the_default_repertoire(dataset), None)
    if beyond is None:
        if "SpecificCharacterSet" in dataset:
            del dataset.SpecificCharacterSet
        return dataset
    if settings.characters is CharacterRepertoire.DEFAULT:
        raise CharactersNotWritable(
            f"{attribute_name(beyond)} holds characters beyond the default repertoire", attribute=beyond
        )
    dataset.SpecificCharacterSet = "ISO_IR 192"
    return dataset


def _beyond_the_default_repertoire(dataset: Dataset) -> Iterator[str]:
    for found in dataset.elements():
        if isinstance(found, RawDataElement) and found.VR in NUMBER_VRS:
            continue  # it would be made numbers only to be passed over
        element = dataset[found.tag]
        if element.VR == "SQ":
            for item in element.value:
                yield from _beyond_the_default_repertoire(item)
        elif element.VR in TEXT_VRS and not str(element.value).isascii():
            yield element.keyword
