"""Errors of the devices room. Every one says what to do next; none is ever cleared by itself."""

from __future__ import annotations

from isoalign.errors import ConfigurationError, DeviceError, InputDataError


class LinkLost(DeviceError):
    """The connection to a device broke, or nothing has been heard from it for too long."""

    code = "device.link-lost"
    default_hint = (
        "Check the cable and the power of the device. After it is back, clear the latch and re-plan; nothing resumes."
    )


class DeviceRefused(DeviceError):
    """A device answered, and refused."""

    code = "device.refused"
    default_hint = "The message names the reason that the device gave."


class DictionaryMismatch(DeviceError):
    """The firmware speaks another protocol version or message dictionary; it may be watched but not commanded."""

    code = "device.dictionary-mismatch"
    default_hint = "Install firmware and software of the same protocol version."


class StaleState(DeviceError):
    """A decision needs a read-back that is missing or too old."""

    code = "device.stale-state"
    default_hint = "Wait until the device reports again; if it does not, check its link."


class InterlockOpen(DeviceError):
    """At least one interlock is not OK."""

    code = "device.interlock-open"
    default_hint = "Remove the cause that is named first, then clear it by name (clear) and press the enable bar anew."


class TargetOutOfLimits(DeviceError):
    """A target lies outside the soft limits of the couch."""

    code = "device.out-of-limits"
    default_hint = "Choose a target inside the soft limits, or limit and re-centre the correction."


class ClearanceTooSmall(DeviceError):
    """On its way the couch, or who lies on it, would come nearer to something than is required."""

    code = "device.clearance-too-small"
    default_hint = "Move in stages around what the message names, or retract it; nothing has moved."


class ClearanceNotKnown(DeviceError):
    """The clearance of a motion could not be found out, and what is not known is not clear."""

    code = "device.clearance-unknown"
    default_hint = (
        "Supply what the message names in the clearance section of the daemon's configuration; then try again."
    )


class ClearanceTimeout(ClearanceNotKnown):
    """The clearance of a motion was not found out in time."""

    code = "device.clearance-timeout"
    default_hint = "Try again; if it stays, allow more time (clearance.timeout_s) or larger steps (clearance.step_mm)."


class PlanExpired(DeviceError):
    """A prepared motion is too old, was used already, or the couch has moved since."""

    code = "device.plan-expired"
    default_hint = "Prepare the motion again from the present position."


class SpeedNotAllowed(DeviceError):
    """A motion was asked for at a speed that is not allowed here."""

    code = "device.speed-not-allowed"
    default_hint = "Use the speed class normal; fast needs a clearance that was checked, for everything in the room."


class DryRunMissing(DeviceError):
    """A motion that nobody in the room watches has no dry run that is still good."""

    code = "device.dry-run-missing"
    default_hint = "Make a dry run of the same path from inside the room, with the patient as they lie now."


class MotionBusy(DeviceError):
    """Something else moves or exposes."""

    code = "device.busy"
    default_hint = "Wait until the other act has ended, or hold it."


class EnableNotPressed(DeviceError):
    """The enable bar was not pressed anew within the time allowed."""

    code = "device.enable-not-pressed"
    default_hint = "Release the enable bar of the pendant, press it to the middle position, and start the move again."


class EnableReleased(DeviceError):
    """The enable bar was released, or squeezed through, during a move."""

    code = "device.enable-released"
    default_hint = "Check the patient, clear the latch, prepare the move again and press the bar anew."


class HoldRequested(DeviceError):
    """Somebody asked for Hold."""

    code = "device.hold"
    default_hint = "Clear the hold with a reason, prepare the move again and press the bar anew."


class ClientLost(DeviceError):
    """The program that commanded the move is gone or has stopped sending its heartbeat."""

    code = "device.client-lost"
    default_hint = "Start the program again, clear the latch and prepare the move again."


class CouchFault(DeviceError):
    """The couch reported a fault, or ended a move by itself."""

    code = "device.couch-fault"
    default_hint = "The message names the fault; remove its cause, then clear it by name."


class MotionTimeout(DeviceError):
    """The couch did not arrive within the time that its profile allows."""

    code = "device.motion-timeout"
    default_hint = "Check for a stuck axis or an obstacle; the couch was stopped."


class ChannelDisagreement(DeviceError):
    """The two position channels of the couch contradict each other."""

    code = "device.channel-disagreement"
    default_hint = "Do not trust the displayed position. Have the encoders checked before the next move."


class ImagerSilent(DeviceError):
    """A generator or panel did not answer, or did not deliver its image, in time."""

    code = "device.imager-silent"
    default_hint = "Check power and network of the device that is named; the exposure may have happened."


class ExposureFailed(DeviceError):
    """A generator or panel ended an exposure with a fault."""

    code = "device.exposure-failed"
    default_hint = "The message names the fault and the device. No image of this exposure may be used."


class ImageIncomplete(DeviceError):
    """Parts of an image are missing or damaged although they were asked for again."""

    code = "device.image-incomplete"
    default_hint = "Check the image network of the panel. No image of this exposure may be used."


class UnknownImager(DeviceError):
    """An imager was named that this room does not have."""

    code = "device.unknown-imager"
    default_hint = "Use one of the names that the message lists."


class NotPresent(DeviceError):
    """A device is needed that the daemon was configured without."""

    code = "device.not-present"
    default_hint = "Add the device to the daemon's configuration."


class NoDaemonFound(DeviceError):
    """No device daemon runs here, or none answers where one was named."""

    code = "device.no-daemon"
    default_hint = "Start the room as this user, or name the socket of its device daemon: --socket PATH."


class SeveralDaemons(DeviceError):
    """More than one device daemon runs here, and none was named."""

    code = "device.several-daemons"
    default_hint = "Name one of those that the message lists: --room NAME or --socket PATH."


class RuntimeFolderUnsafe(DeviceError):
    """The folder in which device daemons are found cannot be made, or is open to others."""

    code = "device.runtime-folder"
    default_hint = "Let the folder belong to you alone (chmod 700), or remove it; or name the socket: --socket PATH."


class BadDeviceConfig(ConfigurationError):
    """The daemon's configuration cannot be used."""

    code = "config.daemon"
    default_hint = "Correct the key that the message names."


class LinkLogUnreadable(InputDataError):
    """A file is no record of a link, or is damaged."""

    code = "data.link-log"
    default_hint = "Name a file that a daemon with `record` in its configuration has written (*.linklog)."


class IpcError(DeviceError):
    """Two processes of the room could not talk to each other."""

    code = "ipc.error"
    default_hint = "Check that both processes run and are of the same version."


class PeerGone(IpcError):
    """The other process closed the connection, died, or is not there."""

    code = "ipc.peer-gone"
    default_hint = "Look into the log of the process that is named; start it again."


class IpcProtocolError(IpcError):
    """The other process sent something that is not a message of ours."""

    code = "ipc.protocol"


class UnknownMethod(IpcError):
    """The other process does not offer this method."""

    code = "ipc.unknown-method"


class BadParameters(IpcError):
    """A call's parameters are missing, unknown or of the wrong type."""

    code = "ipc.bad-parameters"
    default_hint = "Both processes must be of the same version."


class StreamOverrun(IpcError):
    """A consumer fell so far behind a stream that events would have been lost."""

    code = "ipc.stream-overrun"
    default_hint = "Consume the stream without blocking the event loop."


class InternalError(IpcError):
    """A handler failed in a way that nobody foresaw."""

    code = "ipc.internal"
    default_hint = "This is a defect; the log of the process that is named holds the details."
