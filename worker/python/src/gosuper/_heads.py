"""How uvicorn writes answers over HTTP/1.1 with httptools, in fewer steps: heads are the same again and again, and parts
of a body are what has been announced, or chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gosuper._request import Message, Send

KNOWN_CHUNKS = 1024
CHUNKS = [b"%x\r\n" % size for size in range(KNOWN_CHUNKS)]
"""How a chunk of each of these sizes begins; it ends with a line break too."""

_MOST = 256


class Heads:
    """Heads as uvicorn writes them with httptools, each until the date changes.

    It checks each header of each answer anew, which is a fifth of what a small answer costs. Here it writes a head once,
    and what it has written is written again for whoever sends the same headers.

    What a message needs that this does not know is the server's: that it waits, is an error, or is for nobody.
    """

    def __init__(self) -> None:
        self._known: dict[object, tuple[bytes, bool | None, int]] = {}
        self._unknown: object = None  # what begin has just looked for in vain

    def forget(self) -> None:
        """Know nothing any more: the headers of the server's own have changed."""
        self._known.clear()

    def begin(self, cycle: Any, message: Message) -> bool:
        """Write the head of an answer if it is known, and report whether it was. If not, learn is to follow."""
        self._unknown = None
        headers = message.get("headers")
        if type(headers) is not list or not cycle.keep_alive or cycle.disconnected or cycle.response_started:
            return False
        if cycle.flow.write_paused or cycle.access_log:
            return False
        key = message["status"], cycle.scope["method"], tuple(headers)
        try:
            known = self._known.get(key)
        except TypeError:  # lists, of which uvicorn takes whatever has two elements
            return False
        if known is None:
            self._unknown = key
            return False
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        head, cycle.chunked_encoding, cycle.expected_content_length = known
        cycle.transport.write(head)
        return True

    async def learn(self, cycle: Any, send: Send, message: Message) -> None:
        """Have the server send the message that begins an answer, and know its head from then on, if there is room."""
        key = self._unknown
        if key is None or len(self._known) >= _MOST:
            await send(message)
            return
        transport = cycle.transport
        cycle.transport = recorder = _Recorder(transport)
        try:
            await send(message)
        finally:
            cycle.transport = transport
        if cycle.keep_alive:  # else the head says that the connection ends
            self._known[key] = recorder.written, cycle.chunked_encoding, cycle.expected_content_length


def takes_chunks(cycle: Any) -> bool:
    """Whether the parts of an answer that has begun are chunks."""
    return bool(cycle.response_started and cycle.chunked_encoding and cycle.scope["method"] != "HEAD")


def write_last(cycle: Any, body: bytes) -> bool:
    """Write the last part of a body, and report whether that was possible."""
    if cycle.flow.write_paused or cycle.disconnected or not cycle.response_started or cycle.response_complete:
        return False
    if not cycle.keep_alive or cycle.scope["method"] == "HEAD":
        return False
    if cycle.chunked_encoding:
        cycle.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n")
    elif len(body) == cycle.expected_content_length:
        cycle.expected_content_length = 0
        cycle.transport.write(body)
    else:
        return False
    cycle.response_complete = True
    cycle.message_event.set()
    cycle.on_response()
    return True


class _Recorder:
    """A transport that keeps what is written."""

    def __init__(self, transport: Any) -> None:
        self.written = b""
        self._transport = transport

    def write(self, data: bytes) -> None:
        self.written += data
        self._transport.write(data)
