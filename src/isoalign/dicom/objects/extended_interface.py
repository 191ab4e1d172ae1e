"""The extended interface: an XML document inside a DICOM object, carried byte for byte.

Vendors move data that DICOM has no attributes for in (3253,xx00), with its length in (3253,xx01) and its type in
(3253,xx02). The document is kept as it came, and parsed only on request. Document type definitions are refused, so
no entity can be declared: nothing is expanded and nothing is fetched. Source: section A.2 and Appendix C of the
conformance statement; files of the field.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from pydicom.dataset import Dataset

from isoalign.dicom.errors import ExtendedInterfaceRefused
from isoalign.dicom.object_settings import DEFAULT_SETTINGS, ObjectSettings
from isoalign.dicom.objects.private import add_private, private_text, private_value

GROUP = 0x3253
CONTENT, LENGTH, TYPE = 0x00, 0x01, 0x02
LARGEST_BYTES = 16 * 2**20
DEEPEST = 200


@dataclass(frozen=True, slots=True)
class ExtendedInterface:
    """The document of one object.

    Attributes
    ----------
    content : bytes
        As it came, padding included.
    declared_length : int
        What (3253,xx01) says; vendors write 0 as well as the true length, so nothing relies on it.
    kind : str
        What (3253,xx02) says, for example ``ExtendedIF``.
    """

    content: bytes = field(repr=False)
    declared_length: int = 0
    kind: str = "ExtendedIF"

    def parse(self) -> Element:
        """The root element of the document.

        Raises
        ------
        ExtendedInterfaceRefused
            When it is not well-formed XML, holds a document type definition, or is larger or deeper than it may be.
        """
        if len(self.content) > LARGEST_BYTES:
            raise ExtendedInterfaceRefused(f"the extended interface has {len(self.content)} bytes")
        return _parse(self.content.rstrip(b"\0 \r\n\t"))


def _parse(content: bytes) -> Element:
    builder = TreeBuilder()
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise ExtendedInterfaceRefused(f"the extended interface nests more than {DEEPEST} elements")
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def refuse(*_: object) -> None:
        raise ExtendedInterfaceRefused("the extended interface holds a document type definition")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
        return builder.close()
    except (expat.ExpatError, AssertionError, ValueError, LookupError) as error:
        raise ExtendedInterfaceRefused(f"the extended interface is not well-formed XML: {error}") from error


def read_extended_interface(dataset: Dataset, settings: ObjectSettings = DEFAULT_SETTINGS) -> ExtendedInterface | None:
    """The document of a dataset; None when it has none."""
    creator = settings.creators.group_3253
    content = private_value(dataset, creator, GROUP, CONTENT)
    if not isinstance(content, bytes):
        return None
    length = private_text(dataset, creator, GROUP, LENGTH)
    return ExtendedInterface(
        content, int(length) if length.isdigit() else 0, private_text(dataset, creator, GROUP, TYPE)
    )


def add_extended_interface(
    dataset: Dataset, interface: ExtendedInterface, settings: ObjectSettings = DEFAULT_SETTINGS
) -> None:
    """Write the document into a dataset, unchanged."""
    creator = settings.creators.group_3253
    add_private(dataset, creator, GROUP, CONTENT, "OB", interface.content)
    add_private(dataset, creator, GROUP, LENGTH, "IS", interface.declared_length)
    add_private(dataset, creator, GROUP, TYPE, "LO", interface.kind)
