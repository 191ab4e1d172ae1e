"""``isoalign convert``: one table-top position in both representations."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from cyclopts import Parameter

from isoalign.geometry import Representation, TableTopPosition

Name = Literal["iec61217", "isocentric"]
_REPRESENTATIONS: dict[Name, Representation] = {
    "iec61217": Representation.IEC_61217,
    "isocentric": Representation.ISOCENTRIC_STANDARD,
}


def convert(
    lateral: float,
    longitudinal: float,
    vertical: float,
    *,
    pitch: float = 0.0,
    roll: float = 0.0,
    psa: float = 0.0,
    source: Annotated[Name, Parameter(name="--from")] = "iec61217",
    target: Annotated[Name | None, Parameter(name="--to")] = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Convert a table-top position between IEC 61217 and Isocentric Standard.

    The angles are the same in both; the translations differ as soon as pitch or roll is not zero. Negative numbers
    are written as they are: isoalign convert -12.5 700 -120 --pitch -1.5

    Parameters
    ----------
    lateral
        Table top lateral, mm, + towards +X.
    longitudinal
        Table top longitudinal, mm, + towards the gantry.
    vertical
        Table top vertical, mm, + up.
    pitch
        Table top pitch, degrees, + gantry end up.
    roll
        Table top roll, degrees, + right side down.
    psa
        Patient support angle, degrees, + counter-clockwise from above.
    source
        How the given translations are meant.
    target
        What to convert to; the other one by default.
    as_json
        Print one JSON document instead of a table.
    """
    meant = _REPRESENTATIONS[source]
    other: Name = "isocentric" if source == "iec61217" else "iec61217"
    wanted = _REPRESENTATIONS[target or other]
    given = TableTopPosition(meant, lateral, longitudinal, vertical, pitch, roll, psa)
    converted = given.in_representation(wanted)
    if as_json:
        from isoalign.reports.record_json import position_to_json

        document = {"from": position_to_json(given), "to": position_to_json(converted)}
        print(json.dumps({"schema": "isoalign.conversion/1", **document}, indent=2))
        return 0

    from isoalign.reports.console import conversion_table, print_result

    print_result(conversion_table(given, converted))
    return 0
