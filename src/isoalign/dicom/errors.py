"""Errors of the DICOM edge.

Data that cannot be used ends in an :class:`~isoalign.errors.InputDataError` (exit code 3), a peer that does not
answer, refuses or fails in a :class:`~isoalign.errors.DicomNetworkError` (exit code 4). Messages name files, UIDs
and attributes, never a person.
"""

from __future__ import annotations

from isoalign.errors import DicomNetworkError, InputDataError

# --- files and datasets -------------------------------------------------------------------------------------------


class NotDicom(InputDataError):
    """A file is not a DICOM Part 10 file."""

    code = "dicom.not-dicom"
    default_hint = "Remove the file from the folder, or export it again as DICOM."


class TruncatedFile(InputDataError):
    """A DICOM file ends before its last element, or its pixel data is shorter than its size says."""

    code = "dicom.truncated"
    default_hint = "Copy or export the file again; the transfer that made it was cut short."


class MissingAttribute(InputDataError):
    """A Type 1 attribute is absent or empty."""

    code = "dicom.missing-attribute"
    default_hint = "Export the object again from a system that fills this attribute."


class InvalidAttribute(InputDataError):
    """An attribute has a value that cannot be meant."""

    code = "dicom.invalid-attribute"
    default_hint = "Check the attribute in the exporting system."


class WrongObject(InputDataError):
    """An object of one kind was found where another kind is needed."""

    code = "dicom.wrong-object"
    default_hint = "Name an object of the kind that the message asks for."


class CharactersNotWritable(InputDataError):
    """Text needs characters that the configured repertoire does not have."""

    code = "dicom.characters-not-writable"
    default_hint = 'Allow UTF-8 with characters = "utf-8" in [dicom], or write the text in basic Latin characters.'


class ExtendedInterfaceRefused(InputDataError):
    """The XML document of an object's extended interface cannot be read safely."""

    code = "dicom.extended-interface-refused"
    default_hint = (
        "Ask the vendor of the sending system; the document is carried on unchanged, and only not understood."
    )


class TooManyMarkers(InputDataError):
    """An RT Image has 16 curve groups, one for each matched marker."""

    code = "dicom.too-many-markers"
    default_hint = "Match fewer markers in one image."


class ExportRefused(InputDataError):
    """An object is not exported to a folder: its kind is not for media, or a file of its name is there."""

    code = "dicom.export-refused"
    default_hint = "Export to an empty folder, and only images, structure sets and registrations."


class UnsafeArchive(InputDataError):
    """A packed folder holds links, devices, paths that lead outside, or more than it may."""

    code = "dicom.unsafe-archive"
    default_hint = "Unpack the archive by hand after checking what it contains, and name the folder."


class CaseFolderMissing(InputDataError):
    """The case folder does not exist or holds no DICOM object."""

    code = "dicom.case-folder-missing"
    default_hint = "Name a folder that holds an RT Ion Plan, its RT Structure Set and the CT slices."


# --- the plan and what it refers to -------------------------------------------------------------------------------


class NoPlan(InputDataError):
    """No RT Ion Plan was found."""

    code = "dicom.no-plan"
    default_hint = "Add the RT Ion Plan to the folder, or name another folder."


class SeveralPlans(InputDataError):
    """Several RT Ion Plans could be meant."""

    code = "dicom.several-plans"
    default_hint = "Name one with --plan FILE."


class PlanWithoutIsocentre(InputDataError):
    """The first control point of a treatment beam carries no isocentre."""

    code = "dicom.plan-without-isocentre"
    default_hint = "Export the plan again with Isocenter Position (300A,012C) in the first control point of every beam."


class PlanWithoutBeam(InputDataError):
    """The plan has no treatment beam."""

    code = "dicom.plan-without-beam"
    default_hint = "Export a plan that has at least one beam other than setup beams."


class SeveralPatientPositions(InputDataError):
    """The treatment beams of one plan use different patient positions."""

    code = "dicom.several-patient-positions"
    default_hint = "Split the plan: one patient position per plan."


class StructureSetUnresolved(InputDataError):
    """The plan's reference to a structure set leads nowhere; a person has to name the structure set."""

    code = "dicom.structure-set-unresolved"
    default_hint = "Name the structure set with --structure-set UID|FILE."


class WrongPatient(InputDataError):
    """Objects of different patients lie together."""

    code = "dicom.wrong-patient"
    default_hint = "Keep only the objects of one patient; compare Patient ID (0010,0020) of the files that are named."


class MixedContourTypes(InputDataError):
    """A structure mixes contours of different geometric types."""

    code = "dicom.mixed-contour-types"
    default_hint = "Draw the structure with one type of contour, or export the structure set without it."


# --- CT -----------------------------------------------------------------------------------------------------------


class MissingSlices(InputDataError):
    """CT slices that the structure set references are absent."""

    code = "dicom.missing-slices"
    default_hint = "Export the whole CT series again; every slice that the structure set references is needed."


class SeveralFramesOfReference(InputDataError):
    """Objects that belong together do not share one frame of reference."""

    code = "dicom.several-frames-of-reference"
    default_hint = "Use the CT series that the structure set and the plan were made on."


class MixedSeries(InputDataError):
    """CT slices differ in series, size, pixel spacing, orientation or in-plane origin."""

    code = "dicom.mixed-series"
    default_hint = "Use the slices of one CT series, reconstructed with one field of view."


class NotAxial(InputDataError):
    """CT slices are not transverse."""

    code = "dicom.not-axial"
    default_hint = "Use a CT reconstructed in transverse slices without gantry tilt."


class GappyCt(InputDataError):
    """Two CT slices lie at one place, or a slice seems to be lost and nothing says that all are here."""

    code = "dicom.gappy-ct"
    default_hint = "Export the series again without gaps and with one slice distance."


class UnsupportedPixelData(InputDataError):
    """Pixel data in a form that is not read."""

    code = "dicom.unsupported-pixel-data"
    default_hint = "Export the images uncompressed, 16 bit, one sample per pixel."


# --- network ------------------------------------------------------------------------------------------------------


class PeerUnreachable(DicomNetworkError):
    """Nothing answers at the peer's address."""

    code = "dicom.peer-unreachable"
    default_hint = "Start the peer, or check its host name, port and the firewall."


class AssociationRefused(DicomNetworkError):
    """The peer answers and refuses the association, or every service that was asked for."""

    code = "dicom.association-refused"
    default_hint = "Check the called and the calling AE title in the settings of both sides."


class AssociationAborted(DicomNetworkError):
    """The association was cut before the work was done."""

    code = "dicom.association-aborted"
    default_hint = "Read the peer's log for the reason, then try again."


class PeerTimeout(DicomNetworkError):
    """The peer did not answer in time."""

    code = "dicom.peer-timeout"
    default_hint = "Check the load of the peer and the network, or raise the time-out in the settings."


class NoFreeAssociation(DicomNetworkError):
    """As many associations as allowed are open already, and none of them ends."""

    code = "dicom.no-free-association"
    default_hint = "Wait for the running transfers, or raise maximum_associations in the settings."


class TlsUnusable(DicomNetworkError):
    """Certificates or keys for TLS are missing or cannot be read."""

    code = "dicom.tls-unusable"
    default_hint = "Check the paths of certificate, key and trusted certificates, and that they are PEM files."


class EchoFailed(DicomNetworkError):
    """C-ECHO was answered with a failure."""

    code = "dicom.echo-failed"
    default_hint = "Read the peer's log for the reason."


class MoveFailed(DicomNetworkError):
    """C-MOVE was answered with a refusal or a failure."""

    code = "dicom.move-failed"
    default_hint = "Read the peer's log for the reason."


class MoveDestinationUnknown(MoveFailed):
    """The archive does not know where to send what was asked for."""

    code = "dicom.move-destination-unknown"
    default_hint = "Enter this node's AE title, host and port as a move destination in the archive."


class RetrieveIncomplete(DicomNetworkError):
    """Not every instance that was asked for has arrived, whatever the final status said."""

    code = "dicom.retrieve-incomplete"
    default_hint = "Check that the archive holds the instances that are named."


class RetrieveCancelled(DicomNetworkError):
    """The user ended the retrieval."""

    code = "dicom.retrieve-cancelled"
    default_hint = "Start it again when ready."


class StoreFailed(DicomNetworkError):
    """The peer did not store an instance."""

    code = "dicom.store-failed"
    default_hint = "Read the status comment and the peer's log; the instance stays in the outbox."


class CommitmentFailed(DicomNetworkError):
    """A peer refuses a storage commitment, reports failures, or does not report."""

    code = "dicom.commitment-failed"
    default_hint = "Send the instances that the message names again, then ask again."


class ReceiverNotStarted(DicomNetworkError):
    """The storage provider cannot listen."""

    code = "dicom.receiver-not-started"
    default_hint = "Choose a free port and an address of this machine."


# --- received instances -------------------------------------------------------------------------------------------


class InstanceRefused(InputDataError):
    """A received instance cannot be kept; ``status`` is the C-STORE status that says so."""

    code = "dicom.instance-refused"
    default_hint = "Send the instance again with a valid and unused SOP Instance UID."

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message, status=f"{status:04X}")
        self.status = status


class ConflictingInstance(InstanceRefused):
    """A received instance carries the UID of another one that is stored; both are kept, the newcomer in quarantine."""

    code = "dicom.conflicting-instance"
    default_hint = "Compare the two files; a changed object needs a new SOP Instance UID."


class UnknownInstance(InputDataError):
    """An instance that is not in the store was asked for."""

    code = "dicom.unknown-instance"
    default_hint = "Retrieve the instance first."
