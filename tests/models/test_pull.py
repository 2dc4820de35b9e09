"""Bringing a published model here, from a server on the loopback."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from detrt.errors import DownloadError
from detrt.models.pull import pull
from detrt.models.registry import Source, find
from tests.models.test_download import CONTENT, SHA256, Server, server
from tests.models.test_registry import MODEL

__all__ = ["server"]


def test_a_known_hash_is_verified(server: Server, tmp_path: Path) -> None:
    model = replace(MODEL, sources=(Source(server.url, "here", SHA256),))
    pulled = pull(model, tmp_path)
    assert (pulled.sha256, pulled.verified, pulled.tested) == (SHA256, True, False)
    assert pulled.path.read_bytes() == CONTENT


def test_the_file_of_our_tests_is_told_from_others(server: Server, tmp_path: Path) -> None:
    model = replace(MODEL, sha256=SHA256, sources=(Source(server.url, "here"),))
    assert pull(model, tmp_path).tested
    server.content = CONTENT[::-1]
    other = pull(model, tmp_path / "other")
    assert (other.verified, other.tested) == (False, False)


def test_an_unknown_hash_is_recorded_and_found_again(server: Server, tmp_path: Path) -> None:
    model = replace(MODEL, sha256="0" * 64, sources=(Source(server.url, "here"),))
    pulled = pull(model, tmp_path)
    assert not pulled.verified
    assert hashlib.sha256(pulled.path.read_bytes()).hexdigest() == pulled.sha256
    assert find(model, [tmp_path]) == pulled.path


def test_what_is_here_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    model = replace(MODEL, sources=(Source(server.url, "here", SHA256),))
    pull(model, tmp_path)
    again = pull(model, tmp_path)
    assert again.source is None
    assert again.verified
    assert len(server.ranges) == 1


def test_the_next_source_is_tried_where_one_fails(server: Server, tmp_path: Path) -> None:
    wrong = Source(server.url, "here", "0" * 64)
    pulled = pull(replace(MODEL, sources=(wrong, Source(server.url, "here", SHA256))), tmp_path)
    assert pulled.verified
    with pytest.raises(DownloadError, match="None of the 2 sources"):
        pull(replace(MODEL, sources=(wrong, wrong)), tmp_path / "other")
