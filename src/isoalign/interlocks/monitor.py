"""The memory of the chain: persistence, latches, the first fault and what was seen around it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from isoalign.interlocks.errors import ClearRefused, UnknownRule
from isoalign.interlocks.model import Activity, Evaluation, Finding, Inputs, Reaction, Rule, Settings, Trouble
from isoalign.interlocks.rules import RULES

RECORD_BEFORE_S = 2.0
RECORD_AFTER_S = 2.0
RECORD_LENGTH = 2048
RECORDS_KEPT = 8


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """The first fault and the inputs from 2 s before to 2 s after it, each with its time (monotonic seconds)."""

    fault: Finding
    samples: tuple[tuple[float, Inputs], ...]


class InterlockMonitor:
    """Evaluates the chain again and again and keeps what must not be forgotten.

    It starts not OK (rule ``start-up``), nothing clears by itself, and unknown or stale inputs are not safe. It reads
    no clock: every method takes ``now_s``, monotonic seconds.

    Parameters
    ----------
    settings : Settings
    rules : sequence of Rule
        In the order in which causes are to be named.
    """

    def __init__(self, settings: Settings, rules: Sequence[Rule] = RULES) -> None:
        self._settings = settings
        self._rules = tuple(rules)
        self._by_id = {rule.rule_id: rule for rule in self._rules}
        self._broken_since: dict[str, float] = {}
        self._latched: dict[str, Finding] = {}
        self._first: Finding | None = None
        self._samples: deque[tuple[float, Inputs]] = deque(maxlen=RECORD_LENGTH)
        self._record: FaultRecord | None = None
        self._earlier: deque[FaultRecord] = deque(maxlen=RECORDS_KEPT)
        if "start-up" in self._by_id:
            start = Finding("start-up", "nobody has cleared the chain since the start", Reaction.REFUSE, True, 0.0)
            self._latched["start-up"] = start
            self._first = start

    @property
    def settings(self) -> Settings:
        """The thresholds in use; replaced as a whole when the couch has described itself."""
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def first_fault_record(self) -> FaultRecord | None:
        """What was seen around the first fault; grows until 2 s after it, gone after a clear."""
        if self._first is None or self._record is None:
            return None
        return self._record

    @property
    def fault_records(self) -> tuple[FaultRecord, ...]:
        """The records of faults that were cleared, the latest eight of them, then the one that is there now."""
        return (*self._earlier, *([self._record] if self._record is not None else []))

    def evaluate(self, inputs: Inputs, now_s: float) -> Evaluation:
        """Look at every rule once, latch what has to, and say what may be done."""
        self._remember(inputs, now_s)
        present: dict[str, Finding] = {}
        tripped: list[Finding] = []
        for rule in self._rules:
            finding = self._present(rule, inputs, now_s)
            if finding is None:
                continue
            present[rule.rule_id] = finding
            if finding.latched and rule.rule_id not in self._latched:
                tripped.append(finding)
                self._latch(finding)
        return self._verdict(present, tripped)

    def lacks_a_report(self, inputs: Inputs, now_s: float) -> bool:
        """Whether a condition does not hold merely because its input is missing or stale: not safe, but it may pass."""
        troubles = (self._check(rule, inputs, now_s) for rule in self._rules)
        return any(trouble is not None and trouble.unknown for trouble in troubles)

    def objection(self, inputs: Inputs, now_s: float) -> Finding | None:
        """What keeps an act from beginning besides the verdict: the first precondition that would be broken.

        ``inputs`` are those of now, with activity and mover as they would be.
        """
        for rule in self._rules:
            trouble = self._check(rule, inputs, now_s) if rule.is_precondition else None
            if trouble is not None:
                return Finding(rule.rule_id, trouble.text, Reaction.REFUSE, False, now_s)
        return None

    def latch(self, rule_id: str, text: str, now_s: float) -> Finding:
        """Latch a rule by an act (Hold, or a fault that a driver found); later latches never replace the first fault.

        Raises
        ------
        UnknownRule
        """
        rule = self._by_id.get(rule_id)
        if rule is None:
            raise UnknownRule(f"there is no interlock rule {rule_id!r}")
        finding = Finding(rule_id, text, rule.reaction, True, now_s)
        if rule_id not in self._latched:
            self._latch(finding)
        return self._latched[rule_id]

    def clear(self, inputs: Inputs, now_s: float, *, user: str, reason: str) -> tuple[Finding, ...]:
        """Clear every latch, provided that no cause is left; returns what was cleared.

        Raises
        ------
        ClearRefused
            When a cause is still present (nothing is cleared then), or user or reason is empty.
        """
        if not user.strip() or not reason.strip():
            raise ClearRefused("a latch is cleared by a named user who gives a reason")
        for rule in self._rules:
            if not rule.refuses_clearing and rule.rule_id not in self._latched:
                continue
            trouble = self._check(rule, inputs, now_s)
            if trouble is not None and not (rule.is_righted_by_arm or self._is_usual(rule, trouble, now_s)):
                raise ClearRefused(f"cannot clear: {trouble.text} ({rule.rule_id})", rule=rule.rule_id)
        cleared = tuple(self._latched[rule.rule_id] for rule in self._rules if rule.rule_id in self._latched)
        self._latched.clear()
        self._broken_since = {
            rule_id: since for rule_id, since in self._broken_since.items() if self._by_id[rule_id].is_usual_for_a_while
        }
        if self._record is not None:
            self._earlier.append(self._record)
        self._first = None
        self._record = None
        return cleared

    def _present(self, rule: Rule, inputs: Inputs, now_s: float) -> Finding | None:
        trouble = self._check(rule, inputs, now_s)
        if trouble is None:
            self._broken_since.pop(rule.rule_id, None)
            return None
        since = self._broken_since.setdefault(rule.rule_id, now_s)
        if now_s - since < rule.persists_s(self._settings):
            return None
        latched = inputs.activity in rule.latches_in and not (trouble.unknown and inputs.activity is Activity.IDLE)
        return Finding(rule.rule_id, trouble.text, rule.reaction if latched else Reaction.REFUSE, latched, now_s)

    def _is_usual(self, rule: Rule, trouble: Trouble, now_s: float) -> bool:
        if not rule.is_usual_for_a_while or trouble.unknown:
            return False
        return now_s - self._broken_since.get(rule.rule_id, now_s) < rule.persists_s(self._settings)

    def _check(self, rule: Rule, inputs: Inputs, now_s: float) -> Trouble | None:
        return rule.check(inputs, self._settings, now_s) if inputs.activity in rule.counts_in else None

    def _latch(self, finding: Finding) -> None:
        self._latched[finding.rule_id] = finding
        if self._first is None or self._first.rule_id == "start-up":
            self._first = finding
            self._record = FaultRecord(finding, tuple(self._samples))

    def _remember(self, inputs: Inputs, now_s: float) -> None:
        self._samples.append((now_s, inputs))
        while self._samples[0][0] < now_s - RECORD_BEFORE_S:
            self._samples.popleft()
        record = self._record
        if record is not None and now_s <= record.fault.at_s + RECORD_AFTER_S and len(record.samples) < RECORD_LENGTH:
            self._record = FaultRecord(record.fault, (*record.samples, (now_s, inputs)))

    def _verdict(self, present: dict[str, Finding], tripped: list[Finding]) -> Evaluation:
        shown: list[Finding] = []
        motion = exposure = arm = True
        for rule in self._rules:
            finding = self._latched.get(rule.rule_id) or present.get(rule.rule_id)
            if finding is None:
                continue
            shown.append(finding)
            motion = motion and not rule.gates_motion
            exposure = exposure and not rule.gates_exposure
            arm = arm and rule.is_righted_by_arm and not finding.latched
        reaction = max((f.reaction for f in tripped), key=lambda r: r.value, default=None)
        return Evaluation(tuple(shown), self._first, tuple(tripped), reaction, motion, exposure, arm)
