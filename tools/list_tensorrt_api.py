"""List what the Python bindings of a TensorRT define, for tests/engine/test_api.py.

    python tools/list_tensorrt_api.py tests/engine/api/tensorrt-10.16.1.11.json --wheel tensorrt_cu13_bindings-*.whl
    python tools/list_tensorrt_api.py installed.json

TensorRT's bindings need its libraries to be imported, and those are not in the package index. But TensorRT-RTX's are,
and they define the same entry points; so the bindings are given those, under the names that they ask for. Nothing is
called, only named. One entry point is missing (plugins, which TensorRT-RTX has not): in a throw-away copy of the
bindings it is replaced with another.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

from detrt.engine import api

# Run in a process of its own; of the classes, only those that detrt uses are looked into.
LIST = """
import importlib, json, os, sys
sys.setdlopenflags(os.RTLD_LAZY)
module = importlib.import_module(sys.argv[1])
public = lambda thing: sorted(name for name in dir(thing) if not name.startswith("_"))
classes = {name: public(getattr(module, name)) for name in sys.argv[2:] if hasattr(module, name)}
print(json.dumps({"version": module.__version__, "names": public(module), "classes": classes}))
"""
LIBRARIES = {
    "libnvinfer.so": "tensorrt_rtx",
    "libnvinfer_plugin.so": "tensorrt_rtx",
    "libnvonnxparser.so": "tensorrt_onnxparser_rtx",
}
USED = {*api.CLASSES, *api.RTX_CLASSES, *api.MEMBERS, *api.RTX_MEMBERS, "ILogger", "IProgressMonitor"}
ABSENT, PRESENT = b"\0initLibNvInferPlugins\0", b"\0getInferLibVersion\0\0\0\0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--wheel", type=Path, help="bindings to look into; those that are installed where left out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.wheel:
            zipfile.ZipFile(arguments.wheel).extractall(folder)
        package = next(Path(folder).glob("tensorrt*_bindings"), None)
        listed = listed_api(package or installed_bindings("tensorrt_bindings"))
    arguments.output.write_text(json.dumps(listed, indent=1) + "\n")
    print(f"{arguments.output}: {listed['version']}")


def installed_bindings(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{name} is not installed")
    return Path(spec.submodule_search_locations[0])


def listed_api(package: Path) -> dict[str, object]:
    """Version, names and members of classes of the bindings in the folder `package`."""
    with tempfile.TemporaryDirectory() as name:
        lend_libraries(package, Path(name))
        environment = os.environ | {"LD_LIBRARY_PATH": name, "PYTHONPATH": name}
        done = subprocess.run(
            [sys.executable, "-c", LIST, package.name, *sorted(USED)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    listed: dict[str, object] = json.loads(done.stdout)
    return listed


def lend_libraries(package: Path, folder: Path) -> None:
    """Put into `folder` a copy of the bindings `package`, and TensorRT-RTX's libraries under the names they ask for."""
    copy = folder / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    libraries = installed_bindings("tensorrt_rtx_libs")
    extension = next(copy.glob("*.so"))
    extension.write_bytes(extension.read_bytes().replace(ABSENT, PRESENT))
    for wanted in set(re.findall(rb"lib[a-z_]+\.so\.\d+", extension.read_bytes())):
        stem = wanted.decode().rpartition(".")[0]
        source = f"lib{LIBRARIES[stem]}.so.1" if stem in LIBRARIES else wanted.decode()
        if (libraries / source).is_file():
            (folder / wanted.decode()).symlink_to(libraries / source)


if __name__ == "__main__":
    main()
