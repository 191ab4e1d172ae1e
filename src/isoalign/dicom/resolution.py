"""Which plan and which structure set are meant: rules that ask where something is open, and never guess."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from isoalign.dicom.errors import NoPlan, SeveralFramesOfReference, SeveralPlans, StructureSetUnresolved
from isoalign.records import Plan, StructureSet


class Candidate(Protocol):
    """Anything with a name and a SOP Instance UID."""

    @property
    def name(self) -> str:
        """What messages call it, usually a file."""
        ...

    @property
    def sop_instance_uid(self) -> str:
        """Its SOP Instance UID."""
        ...


File = TypeVar("File", bound=Candidate)


@dataclass(frozen=True, slots=True)
class Named(Generic[File]):
    """A plan and the file it came from."""

    plan: Plan
    file: File


def choose_plan(
    plans: Sequence[Named[File]],
    structure_sets: Sequence[Candidate],
    named_plan: str | None,
    named_structure_set: str | None,
    folder: Path,
    warnings: list[str],
) -> Named[File]:
    """The plan that is meant.

    A named plan is taken. Otherwise the plans whose structure set is there (or, when one is named, whose structure
    set is the named one) are candidates: exactly one is taken, and the others are mentioned in ``warnings``.

    Raises
    ------
    NoPlan, SeveralPlans, StructureSetUnresolved
    """
    if not plans:
        raise NoPlan(f"{folder} holds no RT Ion Plan")
    if named_plan is not None:
        chosen = [one for one in plans if is_named(one.file, named_plan, folder)]
        if not chosen:
            raise NoPlan(
                f"--plan {named_plan} is none of the plans in {folder}: {_list(one.file for one in plans)}",
                hint="Name one of the plans that the message lists.",
            )
        return chosen[0]
    if len(plans) == 1:
        return plans[0]
    known = [one for one in structure_sets if named_structure_set is None or is_named(one, named_structure_set, folder)]
    known_uids = {one.sop_instance_uid for one in known}
    resolving = [one for one in plans if one.plan.structure_set_uid in known_uids]
    if len(resolving) == 1:
        warnings += [
            f"plan {other.plan.label!r} ({other.file.name}) is not used: the structure set it references is not here"
            for other in plans
            if other is not resolving[0]
        ]
        return resolving[0]
    if not resolving and named_structure_set is None:
        raise _unresolved(plans[0].plan, plans[0].file.name, structure_sets, several_plans=True)
    raise SeveralPlans(
        f"{folder} holds {len(plans)} plans that could be meant: {_list(one.file for one in resolving or plans)}. "
        "Which one is it?",
        plans=[one.file.name for one in resolving or plans],
    )


def choose_structure_set(
    plan: Named[Candidate] | Named[File], structure_sets: Sequence[File], named: str | None, folder: Path
) -> File:
    """The structure set that the user named, or the one that the plan references.

    Raises
    ------
    StructureSetUnresolved
    """
    if named is not None:
        for one in structure_sets:
            if is_named(one, named, folder):
                return one
        raise StructureSetUnresolved(
            f"--structure-set {named} is none of the structure sets in {folder}: {_list(structure_sets)}",
            hint="Name one of the structure sets that the message lists.",
            candidates=[one.sop_instance_uid for one in structure_sets],
        )
    for one in structure_sets:
        if one.sop_instance_uid == plan.plan.structure_set_uid:
            return one
    raise _unresolved(plan.plan, plan.file.name, structure_sets)


def require_one_frame(plan: Plan, structure_set: StructureSet) -> None:
    """Refuse a structure set in another frame of reference than the plan's.

    Raises
    ------
    SeveralFramesOfReference
    """
    if plan.frame_of_reference_uid != structure_set.frame_of_reference_uid:
        raise SeveralFramesOfReference(
            f"the plan uses the frame of reference {plan.frame_of_reference_uid}, the structure set "
            f"{structure_set.frame_of_reference_uid}",
            hint="Use the structure set that the plan was made on.",
            frames=[plan.frame_of_reference_uid, structure_set.frame_of_reference_uid],
        )


def is_named(candidate: Candidate, named: str, folder: Path) -> bool:
    """Whether a UID or a file name (absolute, relative to here or to the folder) means this candidate."""
    if named == candidate.sop_instance_uid:
        return True
    try:
        own = Path(candidate.name).resolve()
        return own in {Path(named).resolve(), (folder / named).resolve()}
    except OSError:
        return False


def _unresolved(
    plan: Plan, plan_name: str, structure_sets: Sequence[Candidate], *, several_plans: bool = False
) -> StructureSetUnresolved:
    referenced = plan.structure_set_uid or "none at all"
    if structure_sets:
        question = f"Which structure set belongs to it? Found: {_list(structure_sets)}"
    else:
        question = "No structure set was found"
    what = "None of the plans references a structure set that is here, for example" if several_plans else "Plan"
    return StructureSetUnresolved(
        f"{what} {plan.label!r} ({plan_name}) references the structure set {referenced}, which is not here. {question}",
        hint="Name the structure set with --structure-set UID|FILE"
        + (", and the plan with --plan UID|FILE." if several_plans else "."),
        referenced=plan.structure_set_uid,
        candidates=[{"uid": one.sop_instance_uid, "file": one.name} for one in structure_sets],
    )


def _list(candidates: Iterable[Candidate]) -> str:
    return ", ".join(f"{one.sop_instance_uid} ({one.name})" for one in candidates) or "(none)"
