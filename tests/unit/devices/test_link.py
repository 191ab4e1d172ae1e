"""A link and a scripted device at the two ends of a socket pair: sessions, commands, and every way to lose them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import pytest
from structlog.testing import capture_logs

from isoalign.clock import SystemClock
from isoalign.devices.errors import DeviceRefused, DictionaryMismatch, LinkLost
from isoalign.devices.link import DeviceLink, LinkState, SessionLoss
from isoalign.devices.transport import TcpTransport, Transport
from isoalign.protocol.device_session import DeviceIdentity, DeviceSession
from isoalign.protocol.layout import Message
from isoalign.protocol.messages import (
    Capability,
    CommandReason,
    CommandStatus,
    DeviceKind,
    Disarm,
    Latch,
    PanelFault,
    PanelPhase,
    PanelState,
    SessionEnd,
    Stop,
    StopReason,
    TimeReply,
)

DONE = frozenset({CommandStatus.DONE})
CLOCK = SystemClock()


class ScriptedPanel:
    """Plays the device on socket pairs; ``react`` says what to do with each message, ``mute`` makes it fall silent."""

    def __init__(self, identity: DeviceIdentity) -> None:
        self.session = DeviceSession(identity)
        self.received: list[Message] = []
        self.react: Callable[[Message], None] = lambda _message: None
        self.mute = False
        self.refuse_connections = False
        self.connections = 0
        self._states = 0
        self._line: socket.socket | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def open_line(self) -> Transport:
        if self.refuse_connections:
            raise LinkLost("refused by the test")
        self.connections += 1
        ours, device = socket.socketpair()
        device.setblocking(False)
        self.hang_up()
        self._line = device
        self._tasks = [asyncio.create_task(self._listen(device)), asyncio.create_task(self._talk(device))]
        return TcpTransport(ours, "panel A")

    def hang_up(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._line is not None:
            self._line.close()
            self._line = None

    async def close(self) -> None:
        self.hang_up()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def flush(self) -> None:
        data = self.session.take_output()
        if self._line is not None and data and not self.mute:
            with contextlib.suppress(OSError):
                self._line.send(data)

    async def _listen(self, line: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await loop.sock_recv(line, 4096):
                for message in self.session.feed(data, CLOCK.monotonic_s()):
                    self.received.append(message)
                    self.react(message)
                self.flush()

    async def _talk(self, line: socket.socket) -> None:
        while line is self._line:
            self._states += 1
            self.session.send(
                PanelState(
                    device_time_us=0,
                    state_count=self._states,
                    phase=PanelPhase.IDLE,
                    fault=PanelFault.NONE,
                    exposure_id=0,
                    frame_id=0,
                    rows=1,
                    columns=1,
                    temperature_mdeg_c=None,
                    last_command_id=0,
                    last_command_status=CommandStatus.NONE,
                ),
                CLOCK.monotonic_s(),
            )
            self.flush()
            await asyncio.sleep(0.02)


def identity(kind: DeviceKind = DeviceKind.PANEL, dictionary_hash: int | None = None) -> DeviceIdentity:
    return DeviceIdentity(kind, Capability.IMAGES, "TEST", 500_000, 50_000, dictionary_hash=dictionary_hash)


@pytest.fixture
async def panel() -> AsyncIterator[ScriptedPanel]:
    scripted = ScriptedPanel(identity())
    yield scripted
    await scripted.close()


@pytest.fixture
async def link(panel: ScriptedPanel) -> AsyncIterator[DeviceLink]:
    made = DeviceLink("panel A", DeviceKind.PANEL, panel.open_line, CLOCK, silence_limit_s=0.3)
    made.start()
    yield made
    await made.close()


def disarm() -> Disarm:
    return Disarm(command_id=1, valid_until_us=0)


async def test_session_comes_up_and_messages_arrive(panel: ScriptedPanel) -> None:
    heard: list[Message] = []
    link = DeviceLink(
        "panel A", DeviceKind.PANEL, panel.open_line, CLOCK, on_message=lambda message, _now_s: heard.append(message)
    )
    link.start()
    await link.wait_up(5)
    assert link.generation == 1
    assert await link.changed.until(lambda: any(isinstance(message, PanelState) for message in heard), 5)
    await link.close()
    assert link.state is LinkState.CLOSED


async def test_command_is_answered(panel: ScriptedPanel, link: DeviceLink) -> None:
    def react(message: Message) -> None:
        if isinstance(message, Disarm):
            for status in (CommandStatus.ACCEPTED, CommandStatus.STARTED, CommandStatus.DONE):
                panel.session.report(message.command_id, status, CLOCK.monotonic_s())

    panel.react = react
    await link.wait_up(5)
    assert (await link.command(disarm(), until=DONE, timeout_s=5)).status is CommandStatus.DONE


@pytest.mark.parametrize("status", [CommandStatus.REJECTED, CommandStatus.ABORTED])
async def test_refused_command_says_why(panel: ScriptedPanel, link: DeviceLink, status: CommandStatus) -> None:
    def react(message: Message) -> None:
        if isinstance(message, Disarm):
            panel.session.report(
                message.command_id, status, CLOCK.monotonic_s(), reason=CommandReason.DEVICE_FAULT, detail=2
            )

    panel.react = react
    await link.wait_up(5)
    with pytest.raises(DeviceRefused, match="DEVICE_FAULT") as caught:
        await link.command(disarm(), until=DONE, timeout_s=5)
    assert caught.value.facts["detail"] == 2


async def test_unanswered_command_is_repeated_and_then_a_lost_link(panel: ScriptedPanel, link: DeviceLink) -> None:
    await link.wait_up(5)
    with pytest.raises(LinkLost, match="did not answer DISARM"):
        await link.command(disarm(), until=DONE, timeout_s=5)
    assert len([message for message in panel.received if isinstance(message, Disarm)]) == 1  # repeats have one id


async def test_command_that_never_ends_is_a_timeout(panel: ScriptedPanel, link: DeviceLink) -> None:
    def react(message: Message) -> None:
        if isinstance(message, Disarm):
            panel.session.report(message.command_id, CommandStatus.STARTED, CLOCK.monotonic_s())

    panel.react = react
    await link.wait_up(5)
    with pytest.raises(TimeoutError):
        await link.command(disarm(), until=DONE, timeout_s=0.2)


async def test_lost_line_ends_commands_and_is_opened_again_without_repeating_them(
    panel: ScriptedPanel, link: DeviceLink
) -> None:
    def react(message: Message) -> None:
        if isinstance(message, Disarm):
            panel.hang_up()

    panel.react = react
    await link.wait_up(5)
    with pytest.raises(LinkLost):
        await link.command(disarm(), until=DONE, timeout_s=5)
    assert link.last_loss is SessionLoss.BROKEN
    await link.wait_up(5)
    assert link.generation == 2
    assert panel.connections == 2
    await link.changed.until(lambda: False, 0.3)
    assert len([message for message in panel.received if isinstance(message, Disarm)]) == 1


async def test_silent_device_is_noticed_and_tried_again(panel: ScriptedPanel, link: DeviceLink) -> None:
    await link.wait_up(5)
    panel.mute = True
    assert await link.changed.until(lambda: not link.is_heard, 5)
    with pytest.raises(LinkLost, match="not connected"):
        link.issue(disarm())
    assert await link.changed.until(lambda: panel.connections >= 3, 5)
    panel.mute = False
    await link.wait_up(5)


class PausingClock(SystemClock):
    """A computer that can lose time."""

    def __init__(self) -> None:
        self.lost_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.lost_s


async def test_own_pauses_are_no_silence_of_the_device(panel: ScriptedPanel) -> None:
    """Regression: after a pause of the computer longer than the limit, a line that had all along talked was closed."""
    clock = PausingClock()
    link = DeviceLink("panel A", DeviceKind.PANEL, panel.open_line, clock, silence_limit_s=0.3)
    link.start()
    await link.wait_up(5)
    for _ in range(20):
        clock.lost_s += 1.0
        await asyncio.sleep(0.015)
    assert link.is_up
    assert (link.generation, panel.connections) == (1, 1)
    panel.mute = True
    for _ in range(40):
        clock.lost_s += 1.0
        await asyncio.sleep(0.015)
    assert panel.connections > 1, "a line that is silent while we listen is closed all the same"
    await link.close()


async def test_device_that_misses_our_heartbeat_is_greeted_again(panel: ScriptedPanel, link: DeviceLink) -> None:
    await link.wait_up(5)
    panel.session.end(SessionEnd.HEARTBEAT_EXPIRED, CLOCK.monotonic_s())
    assert await link.changed.until(lambda: link.generation == 2, 5)
    assert link.last_loss is SessionLoss.STALLED
    assert panel.connections == 1
    panel.session.end(SessionEnd.RESTARTED, CLOCK.monotonic_s())
    assert await link.changed.until(lambda: link.generation == 3, 5)
    assert link.last_loss is SessionLoss.BROKEN


async def test_other_dictionary_may_be_watched_but_not_commanded() -> None:
    panel = ScriptedPanel(identity(dictionary_hash=1234))
    link = DeviceLink("panel A", DeviceKind.PANEL, panel.open_line, CLOCK)
    link.start()
    with pytest.raises(DictionaryMismatch):
        await link.wait_up(5)
    assert link.is_heard
    with pytest.raises(LinkLost):
        link.issue(disarm())
    await link.close()
    await panel.close()


async def test_another_kind_of_device_is_refused() -> None:
    panel = ScriptedPanel(identity(DeviceKind.GENERATOR))
    link = DeviceLink("panel A", DeviceKind.PANEL, panel.open_line, CLOCK)
    link.start()
    with pytest.raises(LinkLost, match="another kind of device"):
        await link.wait_up(0.5)
    await link.close()
    await panel.close()


async def test_nobody_there(panel: ScriptedPanel, link: DeviceLink) -> None:
    panel.refuse_connections = True
    panel.hang_up()
    await link.changed.until(lambda: not link.is_heard, 5)
    with pytest.raises(LinkLost, match="panel A does not answer"):
        await link.wait_up(0.05)


async def test_stop_needs_no_session_and_never_fails() -> None:
    couch = ScriptedPanel(identity(DeviceKind.COUCH))
    couch.mute = True
    link = DeviceLink("couch", DeviceKind.COUCH, couch.open_line, CLOCK)
    link.stop(StopReason.HOLD)  # not even a line: no error
    link.start()
    assert await link.changed.until(lambda: link.state is LinkState.GREETING, 5)
    link.stop(StopReason.HOLD)
    assert await link.changed.until(lambda: len(couch.received) >= 4, 5)
    assert [message for message in couch.received if isinstance(message, Stop)] == [Stop(reason=StopReason.HOLD)] * 3
    assert Latch.NONE == 0
    await link.close()
    await couch.close()


async def test_frames_that_are_missing_are_told_once(panel: ScriptedPanel, link: DeviceLink) -> None:
    """By the gaps in their numbers, whatever was in them."""
    await link.wait_up(5)
    with capture_logs() as logs:
        for _ in range(3):
            panel.mute = True
            panel.session.send(TimeReply(host_send_us=1, device_receive_us=1, device_send_us=1), CLOCK.monotonic_s())
            panel.flush()
            panel.mute = False
        async with asyncio.timeout(5):
            while not any(line["event"] == "link.frames-missing" for line in logs):
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
    told = [line for line in logs if line["event"] == "link.frames-missing"]
    assert [(line["frames"], line["device"]) for line in told] == [(3, "panel A")]
