"""The `detrt` command: one module a command; each reads options, calls one function of a room below, and prints."""

from __future__ import annotations

from detrt.cli.app import main

__all__ = ["main"]
