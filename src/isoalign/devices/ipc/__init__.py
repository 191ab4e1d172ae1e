"""Remote calls between the processes of one room: JSON lines over a Unix socket, with binary attachments.

A message is one line of JSON; when it announces ``"attachments": [n, ...]``, exactly that many raw bytes follow the
newline. A request ``{"id", "method", "params"}`` is answered by one result, by an error, or by a stream of events
and an end; a request without ``id`` is a notice and gets no answer. Any number of calls share one connection.
"""

from isoalign.devices.ipc.client import IpcClient
from isoalign.devices.ipc.server import Handler, IpcCall, IpcServer, Peer
from isoalign.devices.ipc.wire import JsonObject, Reply, answers

__all__ = ["Handler", "IpcCall", "IpcClient", "IpcServer", "JsonObject", "Peer", "Reply", "answers"]
