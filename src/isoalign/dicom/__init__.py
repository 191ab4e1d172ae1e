"""The DICOM edge: objects to records and back, case folders, the network node, and a small archive peer.

``isoalign.dicom.objects``
    Readers and writers: CT, RT Structure Set, RT Ion Plan, RT Image, Spatial Registration.
``isoalign.dicom.media``
    :func:`~isoalign.dicom.media.read_case_folder`: files on disk, sorted into one case.
``isoalign.dicom.node``
    Storage provider, C-ECHO, C-MOVE, C-STORE, :func:`~isoalign.dicom.node.load_patient`,
    :func:`~isoalign.dicom.node.drain_outbox`.
``isoalign.dicom.object_store``
    Objects on disk, whole or not at all.
``isoalign.dicom.archive``
    An archive peer as a process, and configurations for Orthanc and DCMTK in its place.
``isoalign.dicom.ports``
    What this room needs of storage.

Importing this package loads neither pydicom nor pynetdicom; its modules do.
"""

__all__ = ["archive", "errors", "media", "media_files", "node", "object_settings", "object_store", "objects", "ports"]
