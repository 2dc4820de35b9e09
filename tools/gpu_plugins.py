"""Build what tests/gpu/test_plugins.py runs: plugin libraries against several TensorRT headers, and who tries them.

    python tools/gpu_plugins.py --headers 11.1=DIR --headers 8.6=DIR [--arch 90]

DIR holds include/NvInfer.h, as https://github.com/NVIDIA/TensorRT has it in a release's branch. The results lie in
.gpu/plugins, to be taken along to a machine with a GPU and no headers; so does the sample of examples/minimal_plugin.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from detrt.plugins.build import BuildRequest, build_plugins

ROOT = Path(__file__).parents[1]
BUILT = ROOT / ".gpu" / "plugins"
SAMPLE = ROOT / "examples" / "minimal_plugin"
PROGRAM = ROOT / "tests" / "plugins" / "native" / "prove.cpp"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--headers", action="append", required=True, metavar="VERSION[-v2]=DIR")
    parser.add_argument("--arch", action="append", help="compute capability, such as 90; all where left out")
    arguments = parser.parse_args()
    for text in arguments.headers:
        name, _, folder = text.partition("=")
        v2 = name.endswith("-v2") or name.startswith("8.")
        request = BuildRequest(Path(folder), tuple(arguments.arch or ()), "v2" if v2 else "v3")
        built = build_plugins(BUILT / f"libdetrt_plugins_{name}.so", request)
        program = BUILT / f"prove_{name}"
        compile_program(program, Path(folder), v2=v2)
        print(f"{built.library}, {program}: TensorRT {built.tensorrt}, {built.interface}")
        if not v2:
            build_sample(Path(folder))


def compile_program(program: Path, root: Path, *, v2: bool) -> None:
    """The program that tries a library's objects; nvcc finds CUDA's own headers and runtime."""
    flags = ["-std=c++17", "-O1", "-Xcompiler=-Wall,-Wextra,-Werror", *(["-DPROVE_V2=1"] if v2 else [])]
    includes = ["-isystem", str(root / "include")]
    subprocess.run(["nvcc", "-x", "c++", *flags, *includes, str(PROGRAM), "-o", str(program), "-ldl"], check=True)


def build_sample(root: Path) -> None:
    """examples/minimal_plugin and its test."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["cmake", "-S", SAMPLE, "-B", folder, f"-DTENSORRT_ROOT={root}"], check=True)
        subprocess.run(["cmake", "--build", folder], check=True)
        for name in ("libscale_plugin.so", "test_scale_plugin"):
            shutil.copy(Path(folder, name), BUILT)


if __name__ == "__main__":
    main()
