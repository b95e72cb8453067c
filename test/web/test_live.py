# SPDX-License-Identifier: Apache-2.0
"""The server of the live page: whom it answers, who may change what, and what slow readers cost."""

import asyncio
import json
import socket
import struct
import tracemalloc
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

import pytest

aiohttp = pytest.importorskip("aiohttp")

from yolact_ros.web.live import server as live  # noqa: E402
from yolact_ros.web.live.board import Board  # noqa: E402
from yolact_ros.web.live.guard import Guard  # noqa: E402

HERE, EVIL = "127.0.0.1:8765", "http://evil.example"


class Watched:
    """Notes what the server asks for."""

    def __init__(self):
        self.looks = []
        self.changes = []
        self.reason = ""

    def look(self, someone):
        self.looks.append(someone)

    def change(self, name, text, answer):
        self.changes.append((name, text))
        if self.reason is not None:
            answer(self.reason)


@asynccontextmanager
async def serving(*, allow_changes=False):
    board, watched = Board(), Watched()
    guard = Guard("127.0.0.1", allow_changes=allow_changes)
    server = live.Server(board, watched, guard)
    port = await server.start("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as session:
            yield SimpleNamespace(
                board=board,
                watched=watched,
                token=guard.token,
                session=session,
                origin=f"http://127.0.0.1:{port}",
            )
    finally:
        await server.stop()


def connect(here, **headers):
    return here.session.ws_connect(f"{here.origin}/live", headers=headers, max_msg_size=0)


async def turn(client):
    """Asks for a turn; returns its pictures and its other values by name."""
    await client.send_str('"next"')
    pictures = {}
    while (message := await client.receive(timeout=10)).type == aiohttp.WSMsgType.BINARY:
        [length] = struct.unpack_from(">H", message.data)
        header = json.loads(message.data[2 : 2 + length])
        pictures[header["name"]] = message.data[2 + length :]
    assert message.type == aiohttp.WSMsgType.TEXT
    values = json.loads(message.data)["values"]
    return pictures, {name: entry["value"] for name, entry in values.items()}


async def until(condition):
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("not within 10 s")


@pytest.mark.parametrize(
    ("address", "host", "refused"),
    [
        ("127.0.0.1", HERE, False),
        ("127.0.0.1", "LocalHost:9000", False),  # the other end of a tunnel
        ("127.0.0.1", "[::1]:8765", False),
        ("127.0.0.1", "localhost", False),
        ("127.0.0.1", "robot:8765", False),
        ("127.0.0.1", "evil.example:8765", True),
        ("127.0.0.1", "127.0.0.1.evil.example", True),
        ("127.0.0.1", "localhost@evil.example", True),
        ("127.0.0.1", "192.168.0.7:8765", True),
        ("127.0.0.1", "", True),
        ("127.0.0.1", None, True),
        ("0.0.0.0", "192.168.0.7:8765", False),
        ("0.0.0.0", "[fe80::1]:8765", False),
        ("0.0.0.0", f"{socket.gethostname()}:8765", False),
        ("0.0.0.0", "localhost:8765", False),
        ("0.0.0.0", "evil.example:8765", True),
    ],
)
def test_only_names_of_this_machine_are_answered(address, host, refused):
    guard = Guard(address, ["robot"], allow_changes=False)
    assert bool(guard.refusal(host, None)) == refused


@pytest.mark.parametrize(
    ("origin", "refused"),
    [
        (None, False),
        (f"http://{HERE}", False),
        (EVIL, True),
        ("null", True),
        ("http://127.0.0.1:8766", True),  # another server of this machine
        (f"http://{HERE}.evil.example", True),
        (f"http://evil.example/{HERE}", True),
        ("", True),
    ],
)
def test_only_pages_of_this_server_are_answered(origin, refused):
    assert bool(Guard("127.0.0.1", allow_changes=True).refusal(HERE, origin)) == refused


def test_every_path_refuses_strangers_and_forbids_to_be_embedded():
    async def run():
        async with serving(allow_changes=True) as here:
            for path in ("/", "/page.js", "/page.css", "/live", "/nothing"):
                for headers in ({"Host": "evil.example"}, {"Origin": EVIL}):
                    async with here.session.get(here.origin + path, headers=headers) as response:
                        assert response.status == 403, (path, headers)
                        assert here.token not in await response.text()
            async with here.session.get(f"{here.origin}/") as response:
                page = await response.text()
                policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
            assert here.token not in page and "://" not in page  # nothing from elsewhere
            assert "Access-Control-Allow-Origin" not in response.headers
            assert here.watched.looks == []

    asyncio.run(run())


def test_a_page_of_another_origin_can_change_nothing():
    async def run():
        async with serving(allow_changes=True) as here:
            for headers in ({"Origin": EVIL}, {"Origin": "null"}, {"Host": "evil.example"}):
                with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
                    await connect(here, **headers)
                assert refusal.value.status == 403
            change = {"set": "score_threshold", "text": "1", "id": 1, "token": here.token}
            for method in ("POST", "PUT", "DELETE", "OPTIONS"):
                for headers in ({"Origin": EVIL}, {}):
                    request = here.session.request(
                        method, f"{here.origin}/live", json=change, headers=headers
                    )
                    async with request as response:
                        assert response.status in (403, 405)
            assert here.watched.changes == [] and here.watched.looks == []

    asyncio.run(run())


def test_changes_need_the_token_and_a_server_that_allows_them(monkeypatch):
    monkeypatch.setattr(live, "_LONGEST_ANSWER", 0.2)

    async def answer(client, **request):
        await client.send_json({"set": "nms", "text": "exact", "id": 7, **request})
        received = await client.receive_json(timeout=10)
        assert received["answer"] == 7
        return received["reason"]

    async def run():
        async with serving() as here, connect(here, Origin=here.origin) as client:
            for token in ("", "None", None):  # read only unless told
                assert "change nothing" in await answer(client, token=token)
            assert here.watched.changes == []
        async with serving(allow_changes=True) as here, connect(here) as client:
            for token in ({}, {"token": ""}, {"token": here.token[:-1]}, {"token": None}):
                assert "change nothing" in await answer(client, **token)
            assert here.watched.changes == []
            assert await answer(client, token=here.token) == ""
            here.watched.reason = "nms: expected one of fast, exact"
            assert await answer(client, token=here.token) == here.watched.reason
            assert here.watched.changes == [("nms", "exact")] * 2
            here.watched.reason = None
            assert "has not answered" in await answer(client, token=here.token)
            await client.send_str('{"set": "nms"}')  # not understood: the end
            assert (await client.receive(timeout=10)).type == aiohttp.WSMsgType.CLOSE

    asyncio.run(run())


def test_a_turn_has_what_is_new_and_the_newest_of_it_alone():
    async def run():
        async with serving() as here, connect(here) as client:
            for number in range(100):
                here.board.put("picture:front", b"jpeg %d" % number)
                here.board.put("node", {"number": number})
            assert await turn(client) == ({"picture:front": b"jpeg 99"}, {"node": {"number": 99}})
            waiting = asyncio.create_task(turn(client))
            await asyncio.sleep(0.1)
            assert not waiting.done()  # nothing is new
            here.board.put("result:front", {"rows": []})
            assert await waiting == ({}, {"result:front": {"rows": []}})
            here.board.remove("picture:")
            assert await turn(client) == ({}, {"picture:front": None})

    asyncio.run(run())


def test_clients_that_come_go_or_stop_reading_cost_a_turn_each(monkeypatch):
    monkeypatch.setattr(live, "_PATIENCE", 1.0)
    size, count = 400_000, 120

    async def run():
        async with serving() as here:
            got = [0] * 4

            async def read(i):
                async with connect(here) as client:
                    while True:
                        pictures, _ = await turn(client)
                        got[i] += len(pictures)

            readers = [asyncio.create_task(read(i)) for i in range(4)]
            stalled = [await connect(here) for _ in range(3)]
            for client in stalled:
                client._response.connection.transport.pause_reading()
            gone = [await connect(here) for _ in range(3)]
            tracemalloc.start()
            for number in range(count):
                here.board.put("picture:", number.to_bytes(4, "big") * (size // 4))
                for client in stalled + (gone if number < 40 else []):
                    with suppress(ConnectionError):  # it may have been dropped
                        await client.send_str('"next"')  # and never reads it
                if number == 40:
                    for client in gone:
                        client._response.connection.transport.abort()
                await asyncio.sleep(0.01)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            # queued for three clients it would be 144 MB; both ends of seven connections are here
            assert peak < 60 * size, f"{peak / 1e6:.1f} MB"
            before = list(got)
            here.board.put("picture:", b"last")
            await until(lambda: all(now > then for now, then in zip(got, before, strict=True)))
            assert here.watched.looks == [True]
            for reader in readers:
                reader.cancel()
            await until(lambda: here.watched.looks == [True, False])  # the stalled ones, too
            async with connect(here) as client:
                assert (await turn(client))[0] == {"picture:": b"last"}
            await until(lambda: here.watched.looks == [True, False] * 2)

    asyncio.run(run())


def test_more_pages_than_a_robot_needs_are_refused(monkeypatch):
    monkeypatch.setattr(live, "MOST_CLIENTS", 2)

    async def run():
        async with serving() as here, connect(here), connect(here):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
                await connect(here)
            assert refusal.value.status == 503

    asyncio.run(run())
