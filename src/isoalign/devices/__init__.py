"""Devices: transports, links and drivers for couch, imagers and pendant, and the daemon process that owns them.

The rest of the room talks to the daemon only, through :class:`~isoalign.devices.client.DeviceClient`; errors of this
room are in :mod:`isoalign.devices.errors`, the generic remote calls in :mod:`isoalign.devices.ipc`. The daemon is a
process of its own so that no DICOM, rendering or registration can delay a stop.
"""
