"""How uvicorn writes answers over HTTP/1.1 with httptools, in fewer steps: heads are the same again and again, parts of a
body are what has been announced, or chunks, and what begins an answer goes out with the first of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gosuper._request import Message, Request, Send

KNOWN_CHUNKS = 1024
CHUNKS = [b"%x\r\n" % size for size in range(KNOWN_CHUNKS)]
"""How a chunk of each of these sizes begins; it ends with a line break too."""

_MOST = 256
_JOINED = 65536
"""Of a body, in bytes: a longer one is not copied, to be behind its head."""


class Heads:
    """Heads as uvicorn writes them with httptools, each until the date changes.

    It checks each header of each answer anew, which is a fifth of what a small answer costs. Here it writes a head once,
    and what it has written is written again for whoever sends the same headers.

    A head waits for the first part of its body, until the event loop has been round once: most applications send both at
    once, and to write them together is one system call and one packet, and wakes the client once.

    What a message needs that this does not know is the server's: that it waits, is an error, or is for nobody.
    """

    def __init__(self) -> None:
        self._known: dict[object, tuple[bytes, bool | None, int]] = {}
        self._unknown: object = None  # what begin has just looked for in vain
        self._held: dict[Request, bytes] = {}  # heads that are not written yet
        self._awaits_turn = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def forget(self) -> None:
        """Know nothing any more: the headers of the server's own have changed."""
        self._known.clear()

    def begin(self, request: Request, cycle: Any, message: Message) -> bool:
        """Begin an answer whose head is known, and report whether it was. If not, learn is to follow."""
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
        self._hold(request, head)
        return True

    async def learn(self, request: Request, cycle: Any, send: Send, message: Message) -> None:
        """Have the server make the head of an answer, and know it from then on, if it may and there is room."""
        key, self._unknown = self._unknown, None
        if cycle.flow.write_paused or cycle.disconnected or cycle.response_started:
            await send(message)
            return
        transport = cycle.transport
        cycle.transport = recorder = _Recorder()
        try:
            await send(message)
        finally:
            cycle.transport = transport
        self._hold(request, recorder.written)
        if key is not None and cycle.keep_alive and len(self._known) < _MOST:  # else the head says that the connection ends
            self._known[key] = recorder.written, cycle.chunked_encoding, cycle.expected_content_length

    def take(self, request: Request) -> bytes:
        """The head that is held, once: whoever has it, in any thread, is the one who says something to the client."""
        return self._held.pop(request, b"")

    def _hold(self, request: Request, head: bytes) -> None:
        request.held = True
        self._held[request] = head
        if not self._awaits_turn:
            self._awaits_turn = True
            self._loop = self._loop or asyncio.get_running_loop()
            self._loop.call_soon(self._release)

    def _release(self) -> None:
        self._awaits_turn = False
        for request in list(self._held):
            request.flush()


def takes_chunks(cycle: Any) -> bool:
    """Whether the parts of an answer that has begun are chunks."""
    return bool(cycle.response_started and cycle.chunked_encoding and cycle.scope["method"] != "HEAD")


def write_head(cycle: Any, head: bytes) -> None:
    """Write a head, if there is one and somebody to read it."""
    if head and not cycle.disconnected and not cycle.transport.is_closing():
        cycle.transport.write(head)


def write_last(cycle: Any, head: bytes, body: bytes) -> bool:
    """Write the last part of a body, behind its head if that is not written yet, and report whether that was possible."""
    if cycle.flow.write_paused or cycle.disconnected or not cycle.response_started or cycle.response_complete:
        return False
    if cycle.scope["method"] == "HEAD":
        return False
    if cycle.chunked_encoding:
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    elif len(body) == cycle.expected_content_length:
        cycle.expected_content_length = 0
    else:
        return False
    if len(body) > _JOINED:
        cycle.transport.write(head)
        cycle.transport.write(body)
    else:
        cycle.transport.write(head + body)
    cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True


class _Recorder:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data
