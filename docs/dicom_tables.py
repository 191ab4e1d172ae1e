"""Tables of the attributes that our DICOM objects hold, read from objects that the package builds."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.datadict import dictionary_description, dictionary_has_tag, repeater_has_tag
from pydicom.dataelem import DataElement

from isoalign.dicom.objects.examples import FIRST, SECOND, example_objects

OBJECTS = {
    "CT Image": ("CT",),
    "RT Image, acquired": ("RTIMAGE",),
    "RT Image, reconstructed": ("DRR",),
    "RT Structure Set": ("RTSTRUCT", "MARKERS"),
    "Spatial Registration": ("REG 2D/3D", "REG 3D/3D", "REG marker", "REG 2D/2D"),
}
PRIVATE_NAMES = {
    (0x3253, 0x00): "Extended interface, content",
    (0x3253, 0x01): "Extended interface, length",
    (0x3253, 0x02): "Extended interface, type",
    (0x3263, 0x01): "Referenced Structure Set Relationship Sequence",
    (0x3263, 0x02): "Structure Set Relationship",
    (0x3271, 0x00): "Marker Subtype",
    (0x3273, 0x00): "RT Image Isocenter Position",
    (0x3273, 0x01): "RT Image Patient Position",
    (0x3275, 0x00): "Registration Sub Type",
}
MOST_SHOWN = 48


def attribute_tables() -> str:
    """One table for each kind of object: name, tag, representation, and the value where it is always the same."""
    sets = [example_objects(inputs) for inputs in (FIRST, SECOND)]
    parts = []
    for title, names in OBJECTS.items():
        found: dict[tuple[str, ...], list[DataElement]] = {}
        for objects in sets:
            for name in names:
                _collect(objects[name], (), found)
        parts.append(f"### {title}\n\n| Attribute | Tag | VR | Value |\n|---|---|---|---|")
        parts.extend(_row(path, elements) for path, elements in sorted(found.items()))
        parts.append("")
    return "\n".join(parts)


def _collect(dataset: Dataset, path: tuple[str, ...], found: dict[tuple[str, ...], list[DataElement]]) -> None:
    for element in dataset:
        if element.tag.is_private_creator:
            continue
        here = (*path, str(element.tag))
        found.setdefault(here, []).append(element)
        if element.VR == "SQ":
            for item in element.value:
                _collect(item, here, found)


def _row(path: tuple[str, ...], elements: list[DataElement]) -> str:
    element = elements[0]
    group, number = element.tag.group, element.tag.element
    if element.tag.is_private:
        name, tag = PRIVATE_NAMES[group, number & 0xFF], f"({group:04X},xx{number & 0xFF:02X})"
    else:
        known = dictionary_has_tag(element.tag) or repeater_has_tag(element.tag)
        name = dictionary_description(element.tag).strip() if known else element.name
        tag = f"({group:04X},{number:04X})" if group >> 8 != 0x50 else f"(50xx,{number:04X})"
    return f"| {'> ' * (len(path) - 1)}{name} | {tag} | {element.VR} | {_value(elements)} |"


def _value(elements: list[DataElement]) -> str:
    if elements[0].VR == "SQ":
        return ""
    shown = {_text(element) for element in elements}
    if len(shown) > 1:
        return "as the case says"
    (only,) = shown
    if not only:
        return "empty"
    return "" if len(only) > MOST_SHOWN or isinstance(elements[0].value, bytes) else f"`{only}`"


def _text(element: DataElement) -> str:
    value = element.value
    if isinstance(value, bytes):
        return value.hex()
    if element.VM > 1:
        return "\\".join(str(one) for one in value)
    return "" if value is None else str(value)
