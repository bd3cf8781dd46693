"""Downloads against a server of our own that breaks off, lies, refuses, and cannot resume."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import threading
from pathlib import Path

import pytest

from lookalike.data import download
from lookalike.data.download import Remote, contents
from lookalike.errors import UserError

CONTENT = bytes(range(256)) * 2000
PACKED = gzip.compress(CONTENT, mtime=0)


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; breaks off after `breaks` bytes that many times; keeps the ranges it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"/a.bin": CONTENT, "/a.gz": PACKED}
        self.breaks: list[int] = []
        self.ranges: list[str | None] = []
        self.resumes = True

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        body = self.server.files.get(self.path)
        if body is None:
            return self.send_error(404)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.resumes else 0
        if start >= len(body):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        stop = start + self.server.breaks.pop(0) if self.server.breaks else len(body)
        self.wfile.write(body[start:stop])
        self.close_connection = True
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("LOOKALIKE_DATA", str(tmp_path))
    monkeypatch.setattr(download, "PAUSE", 0)
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def remote(server: Server, name: str, content: bytes = CONTENT, packed: bool = False) -> Remote:
    return Remote(f"set/{name}", server.url(name), hashlib.sha256(content).hexdigest(), packed)


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "set").glob("*"))


def test_a_file_is_downloaded_once_and_its_content_checked(server, tmp_path):
    assert contents([remote(server, "a.bin"), remote(server, "a.gz")]) == [CONTENT, CONTENT]
    assert contents([remote(server, "a.gz", PACKED, packed=True)]) == [CONTENT]
    assert len(server.ranges) == 2
    assert left(tmp_path) == ["a.bin", "a.gz"]


def test_a_file_packed_otherwise_is_as_good(server, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.gz").write_bytes(gzip.compress(CONTENT, 1))
    assert contents([remote(server, "a.gz")]) == [CONTENT]
    assert server.ranges == []


def test_a_broken_connection_is_resumed_where_it_broke(server):
    server.breaks = [100_000, 0, 5, 200_000]
    seen = []
    assert contents([remote(server, "a.bin")], lambda name, done, total: seen.append((name, done, total))) == [CONTENT]
    assert server.ranges == [None, "bytes=100000-", "bytes=100000-", "bytes=100005-", "bytes=300005-"]
    assert {(name, total) for name, _, total in seen} == {("a.bin", len(CONTENT))}
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert seen[-1][1] == len(CONTENT)


def test_a_server_that_cannot_resume_starts_over(server):
    server.breaks, server.resumes = [100_000], False
    assert contents([remote(server, "a.bin")]) == [CONTENT]


def test_a_connection_that_stays_broken_is_given_up_and_taken_up_later(server, tmp_path):
    server.breaks = [1000] + [0] * 20
    with pytest.raises(UserError, match=r"cannot be downloaded \(.*1000 of 512000.*put a\.bin into .*set"):
        contents([remote(server, "a.bin")])
    assert left(tmp_path) == ["a.bin.part"]
    server.breaks = []
    assert contents([remote(server, "a.bin")]) == [CONTENT]
    assert server.ranges[-1] == "bytes=1000-"


@pytest.mark.parametrize("name", ["a.bin", "a.gz"])
def test_another_content_is_refused_and_not_kept(server, tmp_path, name):
    server.files[f"/{name}"] = server.files[f"/{name}"][:-1] + b"x"
    with pytest.raises(UserError, match="another content than it should, and it was not kept"):
        contents([remote(server, name)])
    assert left(tmp_path) == []


def test_a_file_that_went_bad_in_its_place_is_refused_but_not_deleted(server, tmp_path):
    contents([remote(server, "a.bin")])
    (tmp_path / "set" / "a.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(UserError, match=r"a\.bin does not hold what http.* does; remove it"):
        contents([remote(server, "a.bin")])
    assert left(tmp_path) == ["a.bin"]


def test_a_leftover_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.bin.part").write_bytes(CONTENT + b"more")
    with pytest.raises(UserError, match="another content"):
        contents([remote(server, "a.bin")])
    assert contents([remote(server, "a.bin")]) == [CONTENT]


def test_what_is_not_there_is_said_at_once_with_what_to_put_where(server, tmp_path):
    with pytest.raises(UserError, match=rf"HTTP 404.*put b\.bin, c\.bin into {tmp_path}.set, or set LOOKALIKE_DATA"):
        contents([remote(server, "b.bin"), remote(server, "c.bin")])
    assert len(server.ranges) == 1


def test_offline_is_said_with_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("LOOKALIKE_DATA", str(tmp_path))
    offline = Remote("set/a.bin", "http://127.0.0.1:9/a.bin", "0" * 64)
    with pytest.raises(UserError, match=rf"cannot be downloaded \(.*refused\); put a\.bin into {tmp_path}.set"):
        contents([offline])


def test_a_folder_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LOOKALIKE_DATA", str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot be written"):
        contents([Remote("set/a.bin", "http://127.0.0.1:9/a.bin", "0" * 64)])
