"""compute-sanitizer's word on the kernels, by a program that calls the C interface on memory cut to size."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from build import Builds

TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")


def sanitize(builds: Builds) -> dict[str, Any]:
    """The last line of each tool; raises if one found something."""
    plain = subprocess.run([str(builds.program)], capture_output=True, text=True, timeout=120)
    print(plain.stdout, plain.stderr, sep="", end="", flush=True)
    found: dict[str, Any] = {"alone": plain.returncode}
    with ThreadPoolExecutor(len(TOOLS)) as pool:
        for tool, told in zip(TOOLS, pool.map(partial(_under, builds.program), TOOLS), strict=True):
            lines = (told.stdout + told.stderr).strip().splitlines()
            found[tool] = {"status": told.returncode, "says": lines[-1]}
            print(f"{tool}: {lines[-1]} (status {told.returncode})", flush=True)
            if told.returncode:
                print("\n".join(lines[:60]), flush=True)
    bad = [tool for tool in TOOLS if found[tool]["status"]]
    if plain.returncode or bad:
        raise RuntimeError(f"Not clean: {', '.join(bad) or 'the program alone'}.")
    return found


def _under(program: Path, tool: str) -> subprocess.CompletedProcess[str]:
    command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", str(program)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)
