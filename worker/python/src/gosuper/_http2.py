"""HTTP/2, which uvicorn speaks with zttp: many requests on one connection, of which each ends alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from gosuper._connection import AnyProgress, HTTP1Connection, HTTPConnection

if TYPE_CHECKING:
    from gosuper._request import Request

    class _Base(HTTPConnection):
        """What is expected of the server's protocol class."""

        cycles: dict[int, Any]
        conn: Any

        def flush(self) -> None: ...
        def handle_rst_stream(self, event: Any) -> None: ...
        def on_stream_closed(self) -> None: ...
else:
    _Base = HTTPConnection

_ANY_STREAM = (1 << 31) - 1


class HTTP2Connection(_Base):
    """A connection that speaks HTTP/2."""

    plain = False

    def connection_lost(self, exc: Exception | None) -> None:
        """The client of all its requests has hung up."""
        self.running = None  # which is one of them
        for request in cast("list[Request]", list(self.ledger.deadlines.running)):
            if request.connection is self:
                self.ledger.lost(request)
        super().connection_lost(exc)

    def handle_rst_stream(self, event: Any) -> None:
        """The client of one request has hung up."""
        cycle = self.cycles.get(event.stream_id)
        if cycle is not None and not cycle.response_complete:
            for request in cast("list[Request]", list(self.ledger.deadlines.running)):
                if getattr(request.raw_send, "__self__", None) is cycle:
                    self.ledger.lost(request)
        super().handle_rst_stream(event)

    def announce_end(self) -> None:
        """Tell the client to open no more streams here; those that it has opened meanwhile are served."""
        if not self._is_lost:
            self.conn.close(0, _ANY_STREAM)
            self.flush()

    def on_stream_closed(self) -> None:
        """End the connection with its last request, if it is to end."""
        super().on_stream_closed()
        if self.ends() and not self.cycles:
            self.shutdown()


class EitherConnection(HTTPConnection):
    """A connection of which it is not known yet what it speaks."""

    plain = False

    def _switch(self, http2: bool, initial_data: bytes = b"") -> None:
        self.app = None
        super()._switch(http2)  # type: ignore[misc]
        connection = cast(HTTPConnection, self.transport.get_protocol())
        connection.ticket, connection.stale = self.ticket, self.stale
        if initial_data:
            connection.data_received(initial_data)


def either(known: dict[str, Any]) -> type[Any]:
    """The protocol class of connections that speak HTTP/1.1 or HTTP/2, with these class attributes.

    uvicorn's own makes the one or the other by their names in its module, which therefore become ours.
    """
    from uvicorn.protocols.http import auto_zttp_impl as auto
    from uvicorn.protocols.http.zttp_h2_impl import ZttpH2Protocol
    from uvicorn.protocols.http.zttp_impl import ZttpProtocol

    names = cast(Any, auto)
    names.ZttpProtocol = type("HTTP", (HTTP1Connection, AnyProgress, ZttpProtocol), known)
    names.ZttpH2Protocol = type("HTTP2", (HTTP2Connection, ZttpH2Protocol), known)
    return type("Either", (EitherConnection, auto.AutoZttpProtocol), known)
