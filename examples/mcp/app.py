"""A server of the Model Context Protocol whose sessions live in the memory of its worker.

What is said in one session the worker remembers: nothing of it is in a database. The proxy
in front has to send each session to the worker that has it (see nginx.conf), and a worker
that is replaced leaves its sessions to the next one of its slot.
"""

import json
import os
import pathlib
import secrets

SLOT = os.environ.get("GOSUPER_SLOT", "0")
KEPT = pathlib.Path(os.environ.get("SESSIONS", "."), f"sessions-{SLOT}.json")

TOOLS = [
    {
        "name": "remember",
        "description": "Keeps a note for this session, and returns all of them.",
        "inputSchema": {"type": "object", "properties": {"note": {"type": "string"}}, "required": ["note"]},
    }
]

sessions: dict[str, list[str]] = {}


class Unknown(Exception):
    """A mistake of JSON-RPC."""


def initialize(name: str) -> dict:
    sessions[name] = []
    return {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "notes", "version": "1"},
    }


def call(notes: list[str], method: str, params: dict) -> dict:
    if method == "ping":
        return {}
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call" and params.get("name") == "remember":
        notes.append(params["arguments"]["note"])
        return {"content": [{"type": "text", "text": f"slot {SLOT}: " + ", ".join(notes)}]}
    raise Unknown(method)


def answer(session: str, name: str, message: dict) -> tuple[int, dict | None]:
    """The status and the answer to a message, of a session or to begin the one with the name."""
    if message.get("method") == "initialize":
        result = initialize(name)
    elif session not in sessions:
        return 404, None  # by which a client knows that it has to begin again
    elif "id" not in message:
        return 202, None  # a notification
    else:
        try:
            result = call(sessions[session], message["method"], message.get("params", {}))
        except (Unknown, KeyError) as wrong:
            return 200, {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": str(wrong)}}
    return 200, {"jsonrpc": "2.0", "id": message["id"], "result": result}


async def lifespan(receive, send):
    await receive()
    if KEPT.exists():
        sessions.update(json.loads(KEPT.read_text()))
        KEPT.unlink()
    await send({"type": "lifespan.startup.complete"})
    await receive()  # nobody is being answered any more, and the next worker of the slot has not begun
    new = KEPT.with_suffix(".new")
    new.write_text(json.dumps(sessions))
    new.rename(KEPT)
    await send({"type": "lifespan.shutdown.complete"})


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    session = headers.get("mcp-session-id", "")
    status, text, more = 405, b"", []
    if scope["method"] == "POST":
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        # The name of a session that begins is what the proxy went by when it chose the worker.
        name = headers.get("x-session", secrets.token_hex(16))
        message = json.loads(body)
        status, reply = answer(session, name, message)
        if reply is not None:
            text = json.dumps(reply).encode()
            more.append((b"content-type", b"application/json"))
        if message.get("method") == "initialize":
            more.append((b"mcp-session-id", name.encode()))
    elif scope["method"] == "DELETE":
        status = 204 if sessions.pop(session, None) is not None else 404
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"x-worker-pid", str(os.getpid()).encode()), *more]}
    )
    await send({"type": "http.response.body", "body": text})
