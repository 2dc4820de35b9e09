"""The kernel's own source: it compiles for GPUs, and, run on the CPU, does what Pillow does."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from detrt.contract import ModelContract, ResizeRule
from detrt.errors import EngineError, MissingExtraError
from detrt.images.fixed_point import resize_fixed_point
from detrt.images.gpu.preprocess import PHOTO, TILE, PhotoOnDevice, describe, rule_of
from detrt.images.preprocess import Preprocessor
from detrt.images.read import Pixels
from detrt.images.resize import place
from detrt.kernels import compiled

HERE = Path(__file__).parent
INPUT = (37, 45)  # height, width: no multiple of a tile


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The kernel's source, compiled for the CPU."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no g++ here")
    folder = tmp_path_factory.mktemp("kernel")
    source = folder / "kernel.cpp"
    source.write_text(
        '#include "on_cpu.h"\n'
        + compiled.source_of("preprocess")
        + """
        extern "C" void run(dim3 grid, dim3 block, const detrt::Photo* photos, float* input, int height, int width,
                            const detrt::Rule* rule) {
            on_cpu(grid, block, [=] { detrt_preprocess_float32(photos, input, height, width, *rule); });
        }
        """
    )
    library = folder / "kernel.so"
    command = [compiler, "-std=c++20", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-pthread", f"-I{HERE}"]
    subprocess.run([*command, "-o", str(library), str(source)], check=True, timeout=120)
    return ctypes.CDLL(str(library))


class Three(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_int), ("z", ctypes.c_int))


def run(kernel: ctypes.CDLL, contract: ModelContract, photos: list[Pixels | None]) -> npt.NDArray[np.float32]:
    """The network's input by the kernel, every value of which starts as NaN."""
    height, width = contract.input_size
    table = np.zeros(len(photos), PHOTO)
    on_device = [
        None
        if photo is None
        else PhotoOnDevice(
            photo.ctypes.data, photo.strides[0], place(photo.shape[:2], contract.input_size, contract.resize)
        )
        for photo in photos
    ]
    describe(on_device, table)
    made = np.full((len(photos), 3, height, width), np.nan, np.float32)
    kernel.run(
        Three(-(-width // TILE[0]), -(-height // TILE[1]), len(photos)),
        Three(*TILE, 1),
        ctypes.c_void_p(table.ctypes.data),
        ctypes.c_void_p(made.ctypes.data),
        height,
        width,
        ctypes.byref(rule_of(contract)),
    )
    return made


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


def padded_rows(photo: Pixels) -> Pixels:
    """The same photo with unused bytes after each row, as decoders leave them."""
    wide = np.zeros((photo.shape[0], photo.shape[1] + 5, 3), np.uint8)
    wide[:, : photo.shape[1]] = photo
    return wide[:, : photo.shape[1]]


def in_integers(contract: ModelContract, photo: Pixels) -> npt.NDArray[np.float32]:
    """The same by `detrt.images.fixed_point`."""
    small = resize_fixed_point(photo, place(photo.shape[:2], contract.input_size, contract.resize), contract.resize)
    batch, _ = Preprocessor(contract)([small])  # which resizes nothing any more
    row: npt.NDArray[np.float32] = batch[0]
    return row


@pytest.mark.parametrize("rule", [ResizeRule("stretch"), ResizeRule("letterbox"), ResizeRule(antialias=False)], ids=str)
def test_a_batch_of_any_sizes_is_what_pillow_makes(kernel: ctypes.CDLL, rule: ResizeRule) -> None:
    contract = ModelContract(INPUT, resize=rule)
    photos = [noise(1, 1), noise(480, 640), noise(90, 31), noise(20, 21), noise(*INPUT), padded_rows(noise(200, 333))]
    expected, _ = Preprocessor(contract)(photos)
    made = run(kernel, contract, [*photos])
    assert np.abs(made - expected).max() <= 1.001 / 255
    assert np.array_equal(made, np.stack([in_integers(contract, photo) for photo in photos]))


def test_scale_mean_deviation_and_order_are_the_contracts(kernel: ctypes.CDLL) -> None:
    contract = ModelContract(INPUT, color="BGR", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    photo = noise(50, 60)
    expected, _ = Preprocessor(contract)([photo])
    assert np.abs(run(kernel, contract, [photo]) - expected).max() <= 1.001 / 255 / min(contract.std)
    assert np.array_equal(run(kernel, contract, [photo])[0], in_integers(contract, photo))


def test_a_row_without_a_photo_is_padding_and_disturbs_nobody(kernel: ctypes.CDLL) -> None:
    contract = ModelContract(INPUT)
    photo = noise(50, 60)
    made = run(kernel, contract, [None, photo])
    assert np.array_equal(made[1], run(kernel, contract, [photo])[0])
    assert np.unique(made[0]).tolist() == [np.float32(114) * np.float32(1 / 255)]


@pytest.mark.parametrize("architecture", ["sm_75", "sm_90"])
def test_nvcc_compiles_it_for_cpp(architecture: str, tmp_path: Path) -> None:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("there is no nvcc here")
    source = tmp_path / "preprocess.cu"
    source.write_text(compiled.source_of("preprocess"))
    command = [nvcc, f"-arch={architecture}", "-cubin", "-Xptxas", "-v", "-o", str(tmp_path / "out"), str(source)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=200).stderr
    assert told.count("0 bytes spill stores") == 2


@pytest.mark.parametrize("capability", ["7.5", "8.9", "9.0", "12.0"])
def test_nvrtc_compiles_it_at_run_time(capability: str) -> None:
    try:
        cubin = compiled.cubin_of("preprocess", capability)
    except (MissingExtraError, EngineError) as error:
        pytest.skip(str(error))
    assert cubin.startswith(b"\x7fELF")
    assert b"detrt_preprocess_float16" in cubin
