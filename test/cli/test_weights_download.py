# SPDX-License-Identifier: Apache-2.0
"""Downloads from a server on this machine that breaks off, ignores ranges, or serves the wrong."""

import dataclasses
import hashlib
import io
import re
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from yolact_ros.checkpoints.download import DownloadError, download_weights, find_weights
from yolact_ros.cli import weights as weights_command
from yolact_ros.cli.main import main
from yolact_ros.network import build_network
from yolact_ros.presets import Published, get_preset

NAME = "yolact_demo_54_800000.pth"
PAGE = f"/someone/yolact-demo/resolve/main/{NAME}"
STORE = "/store/0123"
PRESET = dataclasses.replace(
    get_preset("yolact_demo"), published=Published(weights_url=f"https://huggingface.co{PAGE}")
)


class Hub(ThreadingHTTPServer):
    """Redirects to a store as the Hugging Face Hub does.

    Attributes:
        content: What the store has.
        stated: Headers beside the redirect: size and checksum.
        ranges: Whether the store knows of ranges.
        breaks: At how many bytes of the file to close the connection, once for each entry.
        requested: The Range header (or None) of each GET of the store.
    """

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.stated = {
            "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Linked-Size": str(len(content)),
        }
        self.ranges = True
        self.breaks = []
        self.requested = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.respond(with_body=False)

    def do_GET(self):
        self.respond(with_body=True)

    def respond(self, with_body):
        hub = self.server
        if self.path == PAGE:
            self.send_response(302)
            for name, value in {**hub.stated, "Location": STORE, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()
        elif self.path != STORE:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.send_content(with_body)

    def send_content(self, with_body):
        hub = self.server
        requested = self.headers.get("Range")
        begin = 0
        if requested and hub.ranges:
            begin = int(re.fullmatch(r"bytes=(\d+)-", requested)[1])
            if begin >= len(hub.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(hub.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            last = len(hub.content) - 1
            self.send_header("Content-Range", f"bytes {begin}-{last}/{len(hub.content)}")
        else:
            self.send_response(200)
        body = hub.content[begin:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not with_body:
            return
        hub.requested.append(requested)
        # A client that wants a range asks without one first and leaves: that is no transfer.
        end = len(hub.content)
        if hub.breaks and hub.breaks[0] > begin:
            end = hub.breaks[0]
        try:
            self.wfile.write(hub.content[begin:end])
            self.wfile.flush()
        except OSError:
            self.close_connection = True
            return
        if end < len(hub.content):
            hub.breaks.pop(0)
            self.close_connection = True

    def log_message(self, *arguments):
        pass


def serialized(preset):
    torch.manual_seed(0)
    file = io.BytesIO()
    torch.save(build_network(preset).state_dict(), file)
    return file.getvalue()


@pytest.fixture(scope="module")
def content():
    return serialized("yolact_demo")


@pytest.fixture
def hub(content, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Hub(content)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(hub, folder, **options):
    options = {"retries": 0, "progress": False, **options}
    return download_weights(PRESET, folder, endpoint=hub.url, **options)


def files(folder):
    """Everything under a folder but folders that hold something."""
    return [path for path in folder.rglob("*") if path.is_file() or not any(path.iterdir())]


def test_a_download_arrives_whole_and_alone(hub, tmp_path, content):
    path = fetch(hub, tmp_path / "new")
    assert path == tmp_path / "new" / NAME
    assert path.read_bytes() == content
    assert files(tmp_path) == [path]
    assert path.stat().st_mode & 0o044 == 0o044 & ~_umask(tmp_path)
    assert find_weights(PRESET, tmp_path / "new") == path


def _umask(folder):
    probe = folder / "probe"
    probe.touch()
    mode = probe.stat().st_mode & 0o777
    probe.unlink()
    return 0o666 & ~mode


def test_a_second_attempt_goes_on_where_the_connection_broke(hub, tmp_path, content):
    half = len(content) // 2
    hub.breaks = [half]
    with pytest.raises(DownloadError, match=r"broken off after \d+ bytes .*goes on from there"):
        fetch(hub, tmp_path)
    assert not (tmp_path / NAME).exists()
    [part] = files(tmp_path)
    kept = part.stat().st_size
    assert half - 2**20 < kept <= half
    assert part.read_bytes() == content[:kept]

    hub.requested.clear()
    path = fetch(hub, tmp_path)
    assert f"bytes={kept}-" in hub.requested
    assert path.read_bytes() == content
    assert files(tmp_path) == [path]


def test_one_attempt_goes_on_by_itself(hub, tmp_path, content):
    hub.breaks = [len(content) // 2]
    assert fetch(hub, tmp_path, retries=1).read_bytes() == content
    assert [bool(requested) for requested in hub.requested] == [False, True]


def test_a_server_without_ranges_is_asked_for_everything_again(hub, tmp_path, content):
    hub.ranges = False
    hub.breaks = [len(content) // 2]
    with pytest.raises(DownloadError, match="broken off"):
        fetch(hub, tmp_path)
    assert len(files(tmp_path)) == 1
    path = fetch(hub, tmp_path)
    assert path.read_bytes() == content
    assert files(tmp_path) == [path]


def test_a_part_that_is_already_whole_does_not_stand_in_the_way(hub, tmp_path, content):
    (tmp_path / ".unfinished").mkdir()
    (tmp_path / ".unfinished" / f"{NAME}12345678.part").write_bytes(content)
    path = fetch(hub, tmp_path)
    assert path.read_bytes() == content
    assert files(tmp_path) == [path]


def damaged(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (damaged, "expected content with SHA-256"),
        (lambda content: content[:-1], "expected .* bytes, got"),
        (lambda content: b"<html>gone</html>", "expected .* bytes, got 17"),
    ],
)
def test_wrong_content_is_refused_and_not_kept(hub, tmp_path, content, make, message):
    hub.content = make(content)
    with pytest.raises(DownloadError, match=message):
        fetch(hub, tmp_path)
    assert files(tmp_path) == []


def test_a_part_of_other_content_is_found_out_and_not_used_again(hub, tmp_path, content):
    (tmp_path / ".unfinished").mkdir()
    (tmp_path / ".unfinished" / f"{NAME}12345678.part").write_bytes(b"x" * 1000)
    with pytest.raises(DownloadError, match="SHA-256"):
        fetch(hub, tmp_path)
    assert fetch(hub, tmp_path).read_bytes() == content


def test_tensors_of_another_preset_are_refused_where_the_server_states_nothing(hub, tmp_path):
    hub.stated = {}
    other = dataclasses.replace(get_preset("yolact_demo"), prototypes=8)
    hub.content = serialized(other)
    with pytest.raises(DownloadError, match=r"does not fit yolact_demo: .*; it fits no preset"):
        fetch(hub, tmp_path)
    hub.content = b"no checkpoint"
    with pytest.raises(DownloadError, match="is a text, not weights"):
        fetch(hub, tmp_path)
    assert files(tmp_path) == []


def test_a_file_that_is_there_is_taken_without_a_request(hub, tmp_path, content):
    path = fetch(hub, tmp_path)
    hub.requested.clear()
    assert fetch(hub, tmp_path) == path
    assert hub.requested == []
    hub.content = damaged(content)
    with pytest.raises(DownloadError):
        fetch(hub, tmp_path, overwrite=True)
    assert path.read_bytes() == content


def run(capsys, *arguments):
    status = main(["weights", "download", *map(str, arguments)])
    return status, capsys.readouterr()


def test_the_command_shows_progress_and_where_the_file_is(
    hub, tmp_path, content, capsys, monkeypatch
):
    monkeypatch.setattr(weights_command, "get_preset", lambda name: PRESET)
    status, printed = run(capsys, "yolact_demo", "--out", tmp_path, "--endpoint", hub.url)
    assert status == 0
    assert printed.out == f"yolact_demo: {tmp_path / NAME} ({len(content) / 1e6:.1f} MB)\n"
    assert "100%" in printed.err
    assert (tmp_path / NAME).read_bytes() == content


def test_offline_it_says_where_to_put_the_file(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # nobody listens there
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}/hub")
        status, printed = run(capsys, "yolact_base", "--out", tmp_path)
    assert status == 1
    [line] = printed.err.splitlines()
    assert "cannot reach 127.0.0.1" in line
    assert "/hub/dbolya/yolact-base/resolve/main/yolact_base_54_800000.pth elsewhere" in line
    assert line.endswith(f"put the file at {tmp_path / 'yolact_base_54_800000.pth'}")
    assert files(tmp_path) == []


def test_a_file_that_the_server_lacks_is_named(hub, tmp_path, capsys):
    status, printed = run(capsys, "yolact_base", "--out", tmp_path, "--endpoint", hub.url)
    assert status == 1
    assert "no such file on the server" in printed.err


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("yolact_resnet50_pascal", 1, "see the README of dbolya/yolact"),
        ("yolact_im400", 1, "published no weights"),
        ("yolact_bass", 2, "did you mean 'yolact_base'"),
    ],
)
def test_presets_without_a_file_to_fetch_say_so(tmp_path, refused, name, status, message):
    refusal = refused("weights", "download", name, "--out", tmp_path)
    assert refusal[0] == status and message in refusal[1]


def test_without_the_library_the_file_can_still_be_put_there(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    status, printed = run(capsys, "yolact_base", "--out", tmp_path)
    assert status == 1
    assert "expected the Python packages gdown and requests" in printed.err
    assert str(tmp_path / "yolact_base_54_800000.pth") in printed.err


def test_an_endpoint_that_is_no_address_is_refused(tmp_path, capsys):
    status, printed = run(capsys, "yolact_base", "--out", tmp_path, "--endpoint", "hub.example")
    assert status == 1
    assert "expected an http or https address, got 'hub.example'" in printed.err
