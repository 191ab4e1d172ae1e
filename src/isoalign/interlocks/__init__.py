"""Interlocks: the ordered safety rules as data, and their evaluation.

Pure: inputs with their ages go in, a verdict comes out; the device daemon acts on it. This is the software channel
only. It does not replace the hard-wired chain (emergency stop, dead-man bar, safe torque off, collision sensors).
"""

from isoalign.interlocks.errors import ClearRefused, UnknownRule
from isoalign.interlocks.model import (
    Activity,
    Arm,
    Brake,
    CouchReport,
    Evaluation,
    Finding,
    GantryReport,
    Inputs,
    Mover,
    Observation,
    Reaction,
    Rule,
    Settings,
    Trouble,
)
from isoalign.interlocks.monitor import FaultRecord, InterlockMonitor
from isoalign.interlocks.rules import RULES, rules_for, soft_limits_inside
from isoalign.interlocks.rules_gantry import GANTRY_RULES

__all__ = [
    "GANTRY_RULES",
    "RULES",
    "Activity",
    "Arm",
    "Brake",
    "ClearRefused",
    "CouchReport",
    "Evaluation",
    "FaultRecord",
    "Finding",
    "GantryReport",
    "Inputs",
    "InterlockMonitor",
    "Mover",
    "Observation",
    "Reaction",
    "Rule",
    "Settings",
    "Trouble",
    "UnknownRule",
    "rules_for",
    "soft_limits_inside",
]
