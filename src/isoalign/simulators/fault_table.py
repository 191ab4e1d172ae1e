"""What a simulator can play, as a table: the parameters of each fault, checked before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from isoalign.simulators.errors import InvalidTruthRequest


@dataclass(frozen=True, slots=True)
class FaultParameters:
    """One kind of fault.

    Attributes
    ----------
    meaning : str
        What happens, in plain words.
    defaults : dict of str to float
        Its parameters. ``p`` is a probability.
    is_signed : bool
        Whether the parameters may be negative.
    """

    meaning: str
    defaults: dict[str, float] = field(default_factory=dict)
    is_signed: bool = False

    def resolve(self, name: str, given: dict[str, Any]) -> dict[str, float]:
        """The parameters to be used.

        Raises
        ------
        InvalidTruthRequest
            For a parameter that this fault does not have, or a value out of its range.
        """
        unknown = sorted(given.keys() - self.defaults.keys())
        if unknown:
            known = ", ".join(self.defaults) or "none"
            raise InvalidTruthRequest(f"{name} has no parameter {', '.join(unknown)}; it has: {known}")
        try:
            values = {**self.defaults, **{key: float(value) for key, value in given.items()}}
        except (TypeError, ValueError) as error:
            raise InvalidTruthRequest(f"the parameters of {name} are numbers: {error}") from error
        for key, value in values.items():
            greatest = 1.0 if key == "p" else 1e6
            least = -greatest if self.is_signed else 0.0
            if not least <= value <= greatest:
                raise InvalidTruthRequest(f"{name}: {key} must lie between {least:g} and {greatest:g}, not {value:g}")
        return values
