"""Ask a package about itself in a process of its own.

A CUDA library that does not fit its driver can crash or hang the process that loads it; whoever asks must survive that.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import NamedTuple


class Answer(NamedTuple):
    """What the code set, or why it did not come to it."""

    version: str | None
    detail: object


def ask(code: str, *, seconds: float) -> Answer:
    """Run `code` in a fresh Python and return its variables `version` (text) and `detail` (anything JSON can hold).

    Where it raises, crashes or does not end within `seconds`, the version is None and the detail is the reason.
    """
    script = f"{code}\nimport json\nprint('\\n' + json.dumps([str(version), detail]), flush=True)"
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return Answer(None, f"no answer within {seconds:g} s")
    if done.returncode < 0:
        return Answer(None, f"crashes on import (signal {-done.returncode})")
    if done.returncode:
        return Answer(None, re.sub(r"^[\w.]+(Error|Exception): ", "", last_line(done.stderr)))
    return Answer(*json.loads(last_line(done.stdout)))


def last_line(text: str) -> str:
    """The last line that is not blank; empty where there is none."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
