"""Interlocks: the ordered safety rules as data, and their evaluation.

Pure: inputs with their ages go in, a verdict comes out; the device daemon acts on it. This is the software channel
only. It does not replace the hard-wired chain (emergency stop, dead-man bar, safe torque off, collision sensors).
"""

from isoalign.interlocks.dry_run import DryRun, DryRunBook
from isoalign.interlocks.errors import ClearRefused, UnknownRule
from isoalign.interlocks.model import (
    Activity,
    Arm,
    Beam,
    Brake,
    Circuit,
    CouchReport,
    Evaluation,
    Finding,
    GantryReport,
    ImagerReport,
    Inputs,
    Mover,
    Observation,
    Reaction,
    Rule,
    SafetyReport,
    Settings,
    Torque,
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
    "Beam",
    "Brake",
    "Circuit",
    "ClearRefused",
    "CouchReport",
    "DryRun",
    "DryRunBook",
    "Evaluation",
    "FaultRecord",
    "Finding",
    "GantryReport",
    "ImagerReport",
    "Inputs",
    "InterlockMonitor",
    "Mover",
    "Observation",
    "Reaction",
    "Rule",
    "SafetyReport",
    "Settings",
    "Torque",
    "Trouble",
    "UnknownRule",
    "rules_for",
    "soft_limits_inside",
]
