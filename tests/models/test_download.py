"""Downloads against a real HTTP server on the loopback, which can cut off, refuse and forget."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from detrt.errors import DownloadError
from detrt.models.download import PIECE, download

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT at every path; the attributes say how well."""

    content = CONTENT
    etag = '"one"'
    status = 200
    content_type = "application/octet-stream"
    cut_after: int | None = None
    knows_ranges = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/model.onnx"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get("Range")
        server.ranges.append(asked)
        start, status = 0, server.status
        same = self.headers.get("If-Range", server.etag) == server.etag
        if asked and server.knows_ranges and same and (match := re.fullmatch(r"bytes=(\d+)-", asked)):
            start, status = int(match[1]), 206
        body = server.content[start:]
        if status == 206 and not body:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", server.content_type)
        if server.etag:
            self.send_header("ETag", server.etag)
        if status == 206:
            end = len(server.content)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
        self.end_headers()
        self.wfile.write(body[: server.cut_after])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "new" / "model.onnx"


def cut(server: Server, target: Path, after: int = 3 * PIECE) -> None:
    """Leave a part behind, as a broken connection does."""
    server.cut_after = after
    with pytest.raises(DownloadError, match="kept; run the same command again"):
        download(server.url, target)
    server.cut_after = None
    assert not target.exists()
    assert target.with_name("model.onnx.part").stat().st_size == after


def only(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def test_a_whole_file_arrives_and_nothing_else_stays(server: Server, target: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    digest = download(server.url, target, sha256=SHA256, progress=lambda stage, done, total: seen.append((done, total)))
    assert digest == SHA256
    assert target.read_bytes() == CONTENT
    assert only(target) == ["model.onnx"]
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))


@pytest.mark.parametrize("sha256", [None, SHA256])
def test_a_cut_download_goes_on_where_it_stopped(server: Server, target: Path, sha256: str | None) -> None:
    cut(server, target)
    assert download(server.url, target, sha256=sha256) == SHA256
    assert server.ranges == [None, f"bytes={3 * PIECE}-"]
    assert target.read_bytes() == CONTENT
    assert only(target) == ["model.onnx"]


def test_ctrl_c_keeps_what_has_come(server: Server, target: Path) -> None:
    def interrupt(stage: str, done: int, total: int | None) -> None:
        if done >= 2 * PIECE:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server.url, target, progress=interrupt)
    assert target.with_name("model.onnx.part").stat().st_size == 2 * PIECE
    assert download(server.url, target) == SHA256
    assert server.ranges[-1] == f"bytes={2 * PIECE}-"


def test_a_server_without_ranges_starts_again(server: Server, target: Path) -> None:
    cut(server, target)
    server.knows_ranges = False
    assert download(server.url, target) == SHA256


def test_a_file_that_changed_meanwhile_is_not_stitched(server: Server, target: Path) -> None:
    cut(server, target)
    server.content, server.etag = CONTENT[::-1], '"two"'
    download(server.url, target)
    assert target.read_bytes() == CONTENT[::-1]


def test_without_an_etag_or_a_hash_nothing_is_resumed(server: Server, target: Path) -> None:
    server.etag = ""
    cut(server, target)
    download(server.url, target)
    assert server.ranges == [None, None]


def test_a_part_that_was_whole_only_needs_its_name(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("model.onnx.part").write_bytes(CONTENT)
    assert download(server.url, target, sha256=SHA256) == SHA256
    assert only(target) == ["model.onnx"]


def test_a_part_longer_than_the_file_is_thrown_away(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("model.onnx.part").write_bytes(CONTENT + b"more")
    with pytest.raises(DownloadError, match="does not fit"):
        download(server.url, target, sha256=SHA256)
    assert download(server.url, target, sha256=SHA256) == SHA256


def test_other_content_is_refused_and_thrown_away(server: Server, target: Path) -> None:
    with pytest.raises(DownloadError, match=SHA256):
        download(server.url, target, sha256="0" * 64)
    assert only(target) == []


def test_an_older_file_outlives_a_failed_download(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"older")
    with pytest.raises(DownloadError):
        download(server.url, target, sha256="0" * 64)
    assert target.read_bytes() == b"older"


@pytest.mark.parametrize(("status", "remedy"), [(404, "moved or withdrawn"), (503, "Try again later")])
def test_a_refusal_names_the_status_and_the_way_by_hand(server: Server, target: Path, status: int, remedy: str) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=f"answers {status}") as caught:
        download(server.url, target)
    assert remedy in caught.value.remedy
    assert "DETRT_MODELS" in caught.value.remedy


def test_a_web_page_is_not_a_model(server: Server, target: Path) -> None:
    server.content_type = "text/html; charset=utf-8"
    with pytest.raises(DownloadError, match="web page"):
        download(server.url, target)
    assert not target.exists()


def test_nobody_listening_is_a_clear_error(target: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DownloadError, match=r"cannot be reached: .*refused") as caught:
        download(f"http://127.0.0.1:{port}/model.onnx", target)
    assert "Check the network" in caught.value.remedy


def test_a_server_that_says_nothing_ends_in_an_error(target: Path) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(DownloadError, match="in time"):
            download(f"http://127.0.0.1:{mute.getsockname()[1]}/model.onnx", target, timeout=(1, 0.1))


def test_a_folder_that_cannot_be_written_is_a_clear_error(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="could not be written"):
        download(server.url, tmp_path / "file" / "model.onnx")


def test_two_at_once_do_not_write_into_one_file(server: Server, target: Path) -> None:
    import fcntl

    target.parent.mkdir()
    with target.with_name("model.onnx.part").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DownloadError, match="Another process"):
            download(server.url, target)
