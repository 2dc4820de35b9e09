"""The kernels of the plugins compile for the oldest and the newest GPU, at run time and ahead of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from detrt.errors import EngineError, MissingExtraError
from detrt.kernels import compiled

HERE = Path(str(resources.files("detrt.kernels")))


@pytest.mark.parametrize(
    ("name", "kernels", "capability"),
    [("offset_projection", 8, "7.5"), ("offset_projection", 8, "12.0"), ("deformable_attention", 10, "7.5")],
)
def test_nvrtc_compiles_them_at_run_time(name: str, kernels: int, capability: str) -> None:
    try:
        cubin = compiled.cubin_of(name, capability)
    except MissingExtraError as error:
        pytest.skip(str(error))
    assert len(set(re.findall(rf"\.text\.(detrt_{name}_\w+)".encode(), cubin))) == kernels


def test_source_that_does_not_compile_is_an_error_with_the_compilers_words() -> None:
    try:
        with pytest.raises(EngineError, match=r"broken.cu does not compile for compute capability 9.0(.|\n)*offsett"):
            compiled.cubin_from('#include "numbers.cuh"\nint offsett', "broken.cu", "9.0")
    except MissingExtraError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", ["offset_projection", "deformable_attention"])
def test_nvcc_compiles_their_c_interface(name: str, tmp_path: Path) -> None:
    """The host's side alone, which NVRTC does not see: that of the device is the same as above."""
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("there is no nvcc here")
    caller = tmp_path / "caller.c"  # the header is C
    caller.write_text(
        f'#include "{name}.h"\nint main(void) {{ return (int)detrt_{name}(0, 0) == cudaErrorInvalidValue ? 0 : 1; }}\n'
    )
    program = tmp_path / "program"
    command = [nvcc, "-std=c++17", "-arch=sm_90", "-Xcicc=-O0", "-Xptxas=-O0", f"-I{HERE}", "-o", str(program)]
    subprocess.run([*command, str(HERE / f"{name}.cu"), str(caller)], check=True, timeout=200)
    assert subprocess.run([str(program)], check=False, timeout=60).returncode == 0
