"""Every attribute of TensorRT that we use exists in the real bindings of every flavour.

The bindings that are installed are looked at themselves: TensorRT-RTX (the `rtx` extra) by importing it, TensorRT 11
(a development dependency) by tools/list_tensorrt_api.py. Other versions stand in api/, as that tool listed them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import get_protocol_members

from detrt.engine import api
from detrt.engine.flavour import OLDEST, Flavour, find

LISTED = sorted((Path(__file__).parent / "api").glob("*.json"))
TOOL = Path(__file__).parents[2] / "tools" / "list_tensorrt_api.py"


@pytest.mark.parametrize("listed", LISTED, ids=lambda path: path.stem)
def test_what_we_use_is_in_the_bindings(listed: Path) -> None:
    assert missing(json.loads(listed.read_text()), is_rtx="rtx" in listed.name) == []


def test_oldest_and_newest_major_versions_are_listed() -> None:
    versions = {path.stem for path in LISTED}
    for name, oldest in OLDEST.items():
        assert any(f"{stem}.".startswith(f"{name}-{'.'.join(map(str, oldest))}.") for stem in versions)
    assert any(stem.startswith("tensorrt-11") for stem in versions)


def test_what_we_use_is_in_the_installed_tensorrt_rtx() -> None:
    flavour = rtx()
    module = flavour.trt
    classes = {name: dir(getattr(module, name)) for name in dir(module) if isinstance(getattr(module, name), type)}
    assert missing({"names": dir(module), "classes": classes}, is_rtx=True) == []


def test_what_we_use_is_in_the_installed_tensorrt_11(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx_libs", reason="the bindings borrow its libraries")
    output = tmp_path / "listed.json"
    subprocess.run([sys.executable, str(TOOL), str(output)], check=True, capture_output=True)
    listed = json.loads(output.read_text())
    assert listed["version"].startswith("11.")
    assert missing(listed, is_rtx=False) == []


def test_an_attribute_that_is_not_there_is_found_missing() -> None:
    listed = json.loads(LISTED[0].read_text())
    listed["classes"]["Builder"].remove("create_network")
    listed["classes"]["BuilderFlag"].remove("TF32")
    listed["names"].remove("OnnxParser")
    assert missing(listed, is_rtx=False) == ["Builder.create_network", "BuilderFlag.TF32", "OnnxParser"]


def missing(listed: dict[str, Any], *, is_rtx: bool) -> list[str]:
    """What our protocols declare and the bindings lack, as `Class.member`."""
    classes = [*api.CLASSES.items(), *(api.RTX_CLASSES.items() if is_rtx else ())]
    wanted = [f"{name}.{member}" for name, protocol in classes for member in members(protocol)]
    enumerations = [*api.MEMBERS.items(), *(api.RTX_MEMBERS.items() if is_rtx else ())]
    wanted += [f"{name}.{member}" for name, all_members in enumerations for member in all_members]
    has = {f"{name}.{member}" for name, known in listed["classes"].items() for member in known} | {*listed["names"]}
    return sorted({*wanted, *members(api.RtxModule if is_rtx else api.Module)} - has)


def members(protocol: type) -> list[str]:
    return [name for name in get_protocol_members(protocol) if not name.startswith("__")]


def rtx() -> Flavour:
    pytest.importorskip("tensorrt_rtx")
    return find("tensorrt_rtx")
