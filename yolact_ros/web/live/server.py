# SPDX-License-Identifier: Apache-2.0
"""Serves the live page, and each browser what is new as fast as it asks for it.

A browser asks for the next turn when it has drawn the last one. So one that is slow, or behind a
slow line, gets the newest picture of each camera when it is ready for it; one that stops asking is
sent nothing; and for each of them there is one turn in memory at most.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from yolact_ros.web.live.board import Board, Entry
from yolact_ros.web.live.guard import Guard
from yolact_ros.web.style import STYLE

MOST_CLIENTS = 32
"""Websockets that are served at a time."""
HEARTBEAT = 10.0
"""Seconds between two pings; who does not answer within half of that is gone."""
_PATIENCE = 10.0
"""Seconds in which a browser has to take a turn that it has asked for."""
_LONGEST_ANSWER = 5.0
"""Seconds in which the node has to answer to a change."""
_LONGEST_END = 1.0
"""Seconds that answers in progress have when the server ends."""
_SHORTEST_TURN = 1 / 30
"""Seconds between two turns of one browser."""
_LARGEST_REQUEST = 16384
"""Bytes."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class Watched(Protocol):
    """What is behind the board; the methods are called in the server's thread, and return soon."""

    def look(self, someone: bool) -> None:
        """Hear whether somebody looks at the page."""

    def change(self, name: str, text: str, answer: Callable[[str], None]) -> None:
        """Change a parameter.

        Args:
            name: Its name.
            text: The value, as people write it.
            answer: Called in any thread with why it was refused, or with nothing.
        """


class _Client:
    """A browser that looks.

    Attributes:
        websocket: Its websocket.
        transport: What that writes to; None: the connection is gone already.
        asked: Set while it waits for a turn.
        news: Set when the board has changed since its last turn.
    """

    def __init__(
        self, websocket: web.WebSocketResponse, transport: asyncio.Transport | None
    ) -> None:
        self.websocket = websocket
        self.transport = transport
        self.asked = asyncio.Event()
        self.news = asyncio.Event()
        self.news.set()

    def drop(self) -> None:
        """End the connection at once: what waits to be sent is thrown away."""
        if self.transport is not None:
            self.transport.abort()


class Server:
    """The page and its websocket, to be used within one event loop.

    Args:
        board: What is shown.
        watched: What is behind it.
        guard: Whom it answers.
    """

    def __init__(self, board: Board, watched: Watched, guard: Guard) -> None:
        self._board = board
        self._watched = watched
        self._guard = guard
        self._clients: set[_Client] = set()
        self._runner: web.AppRunner | None = None
        self._lock = threading.Lock()
        self._is_told = False  # whether the loop will hear of changes of the board already

    async def start(self, address: str, port: int) -> int:
        """Listen, and return the port.

        Args:
            address: To listen on.
            port: The same; 0: any that is free.

        Raises:
            OSError: The port is in use, or the address is not this machine's.
        """
        loop = asyncio.get_running_loop()
        self._board.on_change(lambda: self._hear(loop))
        app = web.Application(middlewares=[self._check])
        app.on_response_prepare.append(_add_headers)
        for path, file, kind in (
            ("/", "page.html", "text/html"),
            ("/page.js", "page.js", "text/javascript"),
            ("/page.css", "page.css", "text/css"),
        ):
            text = files("yolact_ros.web.live").joinpath(file).read_text(encoding="utf-8")
            text = STYLE + text if kind == "text/css" else text
            app.router.add_get(path, _constant(text, kind))
        app.router.add_get("/live", self._serve)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, address, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """End all connections, and listen no more."""
        self._board.on_change(lambda: None)
        for client in tuple(self._clients):
            client.drop()
        if self._runner is not None:
            await _ended_in_time(self._runner.cleanup(), _LONGEST_END)

    @web.middleware
    async def _check(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        headers = request.headers
        if refusal := self._guard.refusal(headers.get("Host"), headers.get("Origin")):
            return web.Response(status=403, text=f"{refusal}\n")
        return await handler(request)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        """One websocket, from its beginning to its end."""
        if len(self._clients) >= MOST_CLIENTS:
            return web.Response(status=503, text=f"{MOST_CLIENTS} pages are open already\n")
        websocket = web.WebSocketResponse(
            heartbeat=HEARTBEAT, max_msg_size=_LARGEST_REQUEST, compress=False
        )
        await websocket.prepare(request)
        client = _Client(websocket, request.transport)
        self._clients.add(client)
        if len(self._clients) == 1:
            self._watched.look(True)
        sending = asyncio.create_task(self._send_turns(client))
        try:
            async for message in websocket:
                if message.type != WSMsgType.TEXT or not await self._take(client, message.data):
                    break
        finally:
            sending.cancel()
            self._clients.discard(client)
            if not self._clients:
                self._watched.look(False)
            if client.transport is not None and client.transport.get_write_buffer_size():
                client.drop()  # it does not read
        return websocket

    async def _take(self, client: _Client, text: str) -> bool:
        """Take what a browser sent, one thing after the other; whether to go on."""
        try:
            request = json.loads(text)
        except (ValueError, RecursionError):
            return False
        if request == "next":
            client.asked.set()
            return True
        match request:
            case {"set": str(name), "text": str(value), "id": int(number)}:
                reason = "this page may look, and change nothing"
                if self._guard.may_change(request.get("token")):
                    reason = await self._change(name, value)
                answer = json.dumps({"answer": number, "reason": reason})
                return await _ended_in_time(client.websocket.send_str(answer), _PATIENCE)
        return False

    async def _change(self, name: str, text: str) -> str:
        """Change a parameter; why that was refused, or nothing."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[str] = loop.create_future()

        def settle(reason: str) -> None:
            if not answered.done():
                answered.set_result(reason)

        def hear(reason: str) -> None:
            loop.call_soon_threadsafe(settle, reason)

        self._watched.change(name, text, hear)
        try:
            return await asyncio.wait_for(answered, _LONGEST_ANSWER)
        except asyncio.TimeoutError:
            return f"the node has not answered within {_LONGEST_ANSWER:g} s"

    async def _send_turns(self, client: _Client) -> None:
        seen: dict[str, int] = {}
        while True:
            await client.asked.wait()
            await client.news.wait()
            client.news.clear()
            news = self._board.news(seen)
            if not news:
                continue
            client.asked.clear()
            seen.update((name, entry.version) for name, (entry, _) in news.items())
            if not await _ended_in_time(_send_turn(client.websocket, news), _PATIENCE):
                client.drop()
                return
            await asyncio.sleep(_SHORTEST_TURN)

    def _hear(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tell the loop of a change; however many come meanwhile, it is told once."""
        with self._lock:
            if self._is_told:
                return
            self._is_told = True
        loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        with self._lock:
            self._is_told = False
        for client in self._clients:
            client.news.set()


async def serve_until_signal(
    server: Server, address: str, port: int, announce: Callable[[int], None]
) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        server: The server.
        address: To listen on.
        port: The same; 0: any that is free.
        announce: Called with the port when it listens.

    Raises:
        OSError: As `Server.start`.
    """
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        announce(await server.start(address, port))
        await ended.wait()
    finally:
        await server.stop()


def address_of_page(address: str, port: int, token: str | None) -> str:
    """Return the address to open in a browser; what follows the # never leaves the browser."""
    host = socket.gethostname() if address in ("0.0.0.0", "::") else address
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/" + (f"#token={token}" if token else "")


async def _send_turn(
    websocket: web.WebSocketResponse, news: Mapping[str, tuple[Entry, float]]
) -> None:
    """Send what is new: pictures, then a text with everything else, which ends the turn."""
    values = {}
    for name, (entry, age) in news.items():
        if isinstance(entry.value, bytes):
            header = json.dumps({"name": name, "age": age}).encode()
            await websocket.send_bytes(struct.pack(">H", len(header)) + header + entry.value)
        else:
            values[name] = {"value": entry.value, "age": age}
    await websocket.send_str(json.dumps({"values": values}, allow_nan=False))


def _constant(text: str, kind: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(text=text, content_type=kind, charset="utf-8")

    return answer


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    del request
    response.headers.update(_HEADERS)


async def _ended_in_time(work: Awaitable[Any], seconds: float) -> bool:
    """Await something; whether it ended without a fault of the connection, and in time."""
    try:
        await asyncio.wait_for(work, seconds)
    except (asyncio.TimeoutError, ConnectionError):
        return False
    return True
