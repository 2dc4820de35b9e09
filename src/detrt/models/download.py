"""Fetch a file over HTTP: in pieces, resumed where it was cut off, under its name only once it is whole."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import requests

from detrt.errors import DownloadError
from detrt.files import sha256_of
from detrt.progress import Progress, silent

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0  # the longest that a server may say nothing
PIECE = 1 << 16  # what comes short of a piece when a connection breaks is lost


def download(
    url: str,
    path: Path,
    *,
    sha256: str | None = None,
    progress: Progress = silent,
    timeout: tuple[float, float] = (CONNECT_SECONDS, SILENCE_SECONDS),
) -> str:
    """Fetch `url` into `path` and return its hex SHA-256.

    What had come before an interruption stays in `<path>.part`; the next call goes on from there where the server can,
    and starts again where it cannot, or where the file there has changed since.

    Args:
        url: http or https.
        path: takes its name only once the file is whole and, where `sha256` is given, right.
        sha256: what the content must hash to; None takes whatever comes.
        progress: told the bytes that are here, and how many there will be.
        timeout: seconds to wait for a connection, and for the server's next bytes.

    Raises:
        DownloadError: no connection, a refusal, a cut, no room, or content of another hash.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _exclusive(part) as file:
            for done, total in _fetch(url, file, part, timeout, verified_later=sha256 is not None):
                progress(f"Downloading {path.name}", done, total)
        digest = sha256_of(part)
    except requests.RequestException as error:
        raise _unreachable(url, error, part) from error
    except OSError as error:
        raise DownloadError(
            f"{path} could not be written: {error.strerror or error}.",
            "Make room or choose another folder (DETRT_CACHE), then run the same command again; it goes on from there.",
        ) from error
    if sha256 is not None and digest != sha256:
        _forget(part)
        raise DownloadError(
            f"{url} gave a file with SHA-256 {digest}, but {sha256} was expected.",
            "It was thrown away. Try again later; if it stays so, the file was replaced by its owners.",
        )
    part.replace(path)
    _forget(part)
    return digest


def _fetch(
    url: str, file: BinaryIO, part: Path, timeout: tuple[float, float], *, verified_later: bool
) -> Iterator[tuple[int, int | None]]:
    """Bring `file` to its end, piece by piece: bytes here, and in all.

    What is resumed must be the file that was begun. Its ETag says so; without one, only the hash to come can tell.
    """
    done, etag = file.seek(0, os.SEEK_END), _read_etag(part)
    headers = {"Accept-Encoding": "identity"}
    if done and (etag or verified_later):
        headers |= {"Range": f"bytes={done}-"} | ({"If-Range": etag} if etag else {})
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
        sent = response.headers.get("Content-Range", "")
        if response.status_code == 416 and sent == f"bytes */{done}":
            return  # it was whole already, only its name was missing
        resumed = response.status_code == 206 and sent.startswith(f"bytes {done}-")
        if response.status_code == 416 or (response.status_code == 206 and not resumed):
            _forget(part)
            raise DownloadError(
                f"What was kept of {part.stem} ({done:,} bytes) does not fit the file at {url} any more.",
                "It was thrown away; run the same command again to start anew.",
            )
        _refuse(response, url)
        if not resumed:
            file.truncate(0)
            done = 0
        _write_etag(part, response.headers.get("ETag", ""))
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdigit() else None
        yield done, total
        for piece in response.iter_content(PIECE):
            done += file.write(piece)
            yield done, total
    if total not in (None, done):
        raise requests.ConnectionError(f"it ended after {done:,} of {total:,} bytes")


def _refuse(response: requests.Response, url: str) -> None:
    """Anything but a file is an error now, not a model that cannot be read later."""
    status = response.status_code
    if status >= 400:
        remedy = "Try again later." if status in (429, 500, 502, 503, 504) else "The file was moved or withdrawn."
        raise DownloadError(f"{url} answers {status} {response.reason}.", f"{remedy} {_by_hand(url)}")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise DownloadError(f"{url} answers with a web page, not a file.", f"Look at it in a browser. {_by_hand(url)}")


def _unreachable(url: str, error: requests.RequestException, part: Path) -> DownloadError:
    kept = part.stat().st_size if part.exists() else 0
    if kept:
        return DownloadError(
            f"The download of {url} broke off: {_cause(error)}.",
            f"{kept:,} bytes are kept; run the same command again to go on from there.",
        )
    return DownloadError(
        f"{url} cannot be reached: {_cause(error)}.",
        f"Check the network, or the proxy (HTTPS_PROXY) if there is one. {_by_hand(url)}",
    )


def _by_hand(url: str) -> str:
    return f"Or fetch it elsewhere, put {url.rpartition('/')[2]} into a folder, and name that folder in DETRT_MODELS."


def _cause(error: requests.RequestException) -> str:
    """The innermost reason, without the addresses of Python objects that urllib3 wraps it in."""
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    inner: BaseException = error
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
    return (getattr(inner, "strerror", None) or str(inner) or type(inner).__name__).rstrip(".")


@contextmanager
def _exclusive(part: Path) -> Iterator[BinaryIO]:
    """Open the part for reading and appending, for this process alone."""
    with part.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DownloadError(
                f"Another process is downloading {part.stem} right now.", "Wait for it, then run the command again."
            ) from None
        yield file


def _etag_file(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _read_etag(part: Path) -> str:
    file = _etag_file(part)
    return file.read_text("latin-1") if file.exists() else ""


def _write_etag(part: Path, etag: str) -> None:
    if etag and not etag.startswith("W/"):  # a weak one does not promise the same bytes
        _etag_file(part).write_text(etag, "latin-1")
    else:
        _etag_file(part).unlink(missing_ok=True)


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _etag_file(part).unlink(missing_ok=True)
