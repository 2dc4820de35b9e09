"""The C++ library answers as Python does."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from onnx import numpy_helper
from onnx.external_data_helper import set_external_data
from PIL import Image

from detrt.benchmark.report import load_report
from detrt.benchmark.timings import Round, Subject, timings_from
from detrt.coco_names import COCO_NAMES
from detrt.contract import ModelContract, ResizeRule, contract_from_metadata
from detrt.decoding import decode
from detrt.engine.admission import refuse_foreign_gpu
from detrt.engine.manifest import manifest_of
from detrt.errors import DetrtError, ImageError
from detrt.files import name_of
from detrt.graph.onnx_file import input_specs, output_specs, save, sha256_of_model, with_contract
from detrt.images.fixed_point import resize_fixed_point
from detrt.images.read import decode_photo, read_photo
from detrt.images.resize import place, resize
from detrt.images.sources import PhotoPixels, find_files
from detrt.pipeline import Outcome
from detrt.runtime.cuda import CudaGpu
from detrt.signature import TensorSpec, contract_from_signature
from detrt.sinks import json_row
from tests import tiny
from tests.cpp.conftest import Peer, Refused
from tests.cpp.papers import CONTRACT, papers
from tests.images.test_run_out import trusted


def told(contract: ModelContract) -> dict[str, Any]:
    """The contract as the peer tells one."""
    values = {field.name: getattr(contract, field.name) for field in fields(contract)}
    for name in ("source_sha256", "calibration", "assumed"):  # nothing in C++ needs them
        del values[name]
    rule = values["resize"]
    values["resize"] = [rule.mode, rule.antialias, rule.pad]
    return json.loads(json.dumps(values))  # type: ignore[no-any-return]


def refusal(work: Callable[[], object]) -> tuple[str, str] | None:
    """What is wrong and what to do, where the work is refused."""
    try:
        work()
    except (DetrtError, Refused) as error:
        return error.problem, error.remedy
    return None


def spec_rows(specs: tuple[TensorSpec, ...]) -> list[Any]:
    return [[spec.name, [-1 if axis is None else axis for axis in spec.shape], spec.dtype] for spec in specs]


def test_contracts(peer: Peer) -> None:
    for contract in (CONTRACT, ModelContract((320, 640), class_names=COCO_NAMES)):
        assert peer("contract", metadata=contract.to_metadata()) == told(contract)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("contract", "2"),
        ("input_size", "[0, 48]"),
        ("output_form", '"boxes"'),
        ("outputs", '{"logits": "a"}'),
        ("resize", '{"mode": "crop"}'),
        ("resize", '{"pad": 256}'),
        ("color", '"CMYK"'),
        ("std", "[1.0, 0.5, 0.0]"),
    ],
)
def test_contracts_that_cannot_be_are_refused_in_the_same_words(peer: Peer, key: str, value: str) -> None:
    metadata = CONTRACT.to_metadata() | {f"detrt.{key}": value}
    ours = refusal(partial(contract_from_metadata, metadata))
    assert ours
    assert refusal(partial(peer, "contract", metadata=metadata)) == ours


@pytest.mark.parametrize("drop", ["", "labels", "images", "orig_target_sizes", "everything"])
def test_foreign_models(peer: Peer, drop: str) -> None:
    model = tiny.deploy_model()
    inputs = tuple(spec for spec in input_specs(model) if spec.name != drop)
    outputs = tuple(spec for spec in output_specs(model) if drop not in (spec.name, "everything"))
    asked = {"inputs": spec_rows(inputs), "outputs": spec_rows(outputs)}
    if not drop:
        ours = contract_from_signature(inputs, outputs, class_names=COCO_NAMES)
        assert peer("signature", **asked) == told(ours)
        return
    refused = refusal(partial(contract_from_signature, inputs, outputs, class_names=COCO_NAMES))
    assert refused
    assert refusal(partial(peer, "signature", **asked)) == refused


def test_onnx_files(peer: Peer, tmp_path: Path) -> None:
    model = with_contract(tiny.deploy_model(), ModelContract(tiny.SIZE))
    save(model, tmp_path / "m.onnx")
    found = peer("onnx", path=tmp_path / "m.onnx")
    assert found["inputs"] == spec_rows(input_specs(model))
    assert found["outputs"] == spec_rows(output_specs(model))
    assert found["metadata"] == {entry.key: entry.value for entry in model.metadata_props}


def test_models_are_known_by_their_weights_wherever_they_lie(peer: Peer, tmp_path: Path) -> None:
    model, path = tiny.deploy_model(), tmp_path / "m.onnx"
    constant = model.graph.node.add(op_type="Constant", output=["nine"]).attribute.add(name="value")
    constant.t.CopyFrom(numpy_helper.from_array(np.ones(9, np.float32)))
    set_external_data(model.graph.initializer[0], "a.data")
    set_external_data(constant.t, "b.data")
    path.write_bytes(model.SerializeToString())
    known = []
    for name, content in (("a", b"1"), ("b", b"1"), ("a", b"2"), ("b", b"2")):
        (tmp_path / f"{name}.data").write_bytes(content)
        known.append(peer("onnx", path=path)["sha256"])
        assert known[-1] == sha256_of_model(path)
    assert len(set(known)) == 4


def test_manifests(peer: Peer, tmp_path: Path) -> None:
    engine, again = tmp_path / "m.engine", tmp_path / "again.engine"
    for manifest in (papers(), papers(capabilities=("12.0", "8.9")), papers(metadata={})):
        manifest.save(engine)
        known = manifest.contract or contract_from_signature(manifest.inputs, manifest.outputs, class_names=COCO_NAMES)
        assert peer("manifest", path=engine) == {
            "needs": manifest.needs,
            "rebuild": manifest.rebuild_command(engine),
            "contract": told(known),
        }
        peer("save", path=engine, into=again)
        assert asdict(manifest_of(again)) == asdict(manifest)


@pytest.mark.parametrize("capability", ["7.5", "8.0", "8.9", "9.0", "12.0"])
def test_which_gpus_may_run_an_engine(peer: Peer, tmp_path: Path, capability: str) -> None:
    engine = tmp_path / "m.engine"
    gpu = CudaGpu(0, "a GPU", capability, "13.0", 1)
    for manifest in (papers(), papers(capabilities=("8.9",))):
        manifest.save(engine)
        ours = refusal(partial(refuse_foreign_gpu, manifest, engine, gpu))
        assert refusal(partial(peer, "gpu", path=engine, name=gpu.name, capability=capability)) == ours


@pytest.mark.parametrize("rule", [ResizeRule(), ResizeRule(antialias=False), ResizeRule("letterbox", pad=9)])
@pytest.mark.parametrize("size", [(32, 48), (480, 640), (37, 700), (900, 11), (3, 2)])
def test_resizing(peer: Peer, tmp_path: Path, rule: ResizeRule, size: tuple[int, int]) -> None:
    photo = np.random.default_rng(size[0]).integers(0, 256, (*size, 3), np.uint8)
    (tmp_path / "photo").write_bytes(photo.tobytes())
    target = (32, 48)
    peer(
        "resize", pixels=tmp_path / "photo", height=size[0], width=size[1], to=target, into=tmp_path / "small",
        letterbox=rule.mode == "letterbox", antialias=rule.antialias, pad=rule.pad,
    )  # fmt: skip
    made = np.frombuffer((tmp_path / "small").read_bytes(), np.uint8).reshape(*target, 3)
    placement = place(size, target, rule)
    np.testing.assert_array_equal(made, resize_fixed_point(photo, placement, rule))
    assert np.abs(made.astype(int) - resize(photo, placement, rule)).max() <= 1  # Pillow's own


def test_photos(peer: Peer, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    photos = [tmp_path / name for name in ("grey.jpg", "p.png", "palette.gif", "b.bmp", "deep.png", "clear.png")]
    Image.fromarray(pixels).convert("L").save(photos[0])
    Image.fromarray(pixels).save(photos[1])
    Image.fromarray(pixels[..., 0]).save(photos[2])
    Image.fromarray(pixels).save(photos[3])
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(photos[4])
    Image.fromarray(np.dstack([pixels, pixels[..., :1]])).save(photos[5])
    Image.fromarray(pixels).convert("CMYK").save(for_print := io.BytesIO(), "JPEG")
    adobe = for_print.getvalue().index(b"\xff\xee\0\x0eAdobe")
    inks, luma, unmarked = bytearray(for_print.getvalue()), bytearray(for_print.getvalue()), for_print.getvalue()
    luma[adobe + 15] = 2  # the inks as brightness and colour
    for name, data in (("inks", inks), ("luma", luma), ("unmarked", unmarked[:adobe] + unmarked[adobe + 16 :])):
        photos.append(tmp_path / f"{name}.jpg")
        photos[-1].write_bytes(data)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        photos.append(tmp_path / f"turned{orientation}.jpg")
        Image.fromarray(pixels).save(photos[-1], exif=exif, quality=95)
    for photo in photos:
        for upright in (True, False):
            size = peer("photo", path=photo, upright=upright, into=tmp_path / "pixels")
            made = np.frombuffer((tmp_path / "pixels").read_bytes(), np.uint8).reshape(*size, 3)
            np.testing.assert_array_equal(made, read_photo(photo, upright=upright), err_msg=f"{photo} {upright}")


def tiff(*entries: tuple[int, int, int, bytes], order: str = "<", head: bytes = b"II*\0") -> bytes:
    """EXIF of entries: tag, type, count, value."""
    packed = (struct.pack(order + "HHL", *entry[:3]) + entry[3] for entry in entries)
    return head + struct.pack(order + "LH", 8, len(entries)) + b"".join(packed) + b"\6\0\1\0\1\0"


SIX = b"\6\0\0\0"
EXIFS = {
    "short": tiff((0x0112, 3, 1, SIX)),
    "big-endian": tiff((0x0112, 3, 1, b"\0\6\0\0"), order=">", head=b"MM\0*"),
    "long": tiff((0x0112, 4, 1, SIX)),
    "signed byte": tiff((0x0112, 6, 1, SIX)),
    "first of two": tiff((0x0112, 3, 1, b"\3\0\0\0"), (0x0112, 3, 1, SIX)),
    "first of three values": tiff((0x0112, 3, 3, b"\x16\0\0\0")),
    "behind others": tiff((0x0100, 3, 1, SIX), (0x0112, 99, 1, SIX), (0x0112, 3, 0, SIX), (0x0112, 3, 1, SIX)),
    "text": tiff((0x0112, 2, 2, b"6\0\0\0")),
    "out of range": tiff((0x0112, 3, 1, b"\x09\0\0\0")),
    "cut": tiff((0x0112, 3, 1, SIX))[:-8],
    "twice marked": b"Exif\0\0" + tiff((0x0112, 3, 1, SIX)),
    "empty": b"",
}


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def chunk(content: bytes, kind: bytes = b"eXIf") -> bytes:
    named = kind + content
    return len(content).to_bytes(4, "big") + named + zlib.crc32(named).to_bytes(4, "big")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")  # it says what is odd about EXIF
def test_how_photos_were_held(peer: Peer, tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8).repeat(8, 0).repeat(8, 1))
    files = []
    for mode, kind in (("RGB", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG")):
        image.convert(mode).save(encoded := io.BytesIO(), kind)
        files.append(encoded.getvalue())
    plain, cmyk, png = files
    exif, late = segment(0xE1, b"Exif\0\0" + EXIFS["short"]), segment(0xFE, bytes(65000))
    photos = {
        "behind long comments": plain[:2] + late + late + exif + plain[2:],
        "in a comment": plain[:2] + segment(0xFE, b"Exif\0\0" + EXIFS["short"]) + plain[2:],
        "in two segments": plain[:2]
        + exif[:3]
        + b"\x16"
        + exif[4:24]
        + segment(0xE1, b"Exif\0\0" + exif[24:])
        + plain[2:],
        "behind a filling": plain[:2] + b"\xff\xff" + exif + plain[2:],
        "for print": cmyk[:2] + exif + cmyk[2:],
        "png": png[:33] + chunk(EXIFS["short"]) + png[33:],
        "png, at its end": png[:-12] + chunk(EXIFS["big-endian"]) + png[-12:],
    }
    photos |= {name: plain[:2] + segment(0xE1, b"Exif\0\0" + content) + plain[2:] for name, content in EXIFS.items()}
    for name, data in photos.items():
        (tmp_path / "photo").write_bytes(data)
        for upright in (True, False):
            size = peer("photo", path=tmp_path / "photo", upright=upright, into=tmp_path / "pixels")
            made = np.frombuffer((tmp_path / "pixels").read_bytes(), np.uint8).reshape(*size, 3)
            np.testing.assert_array_equal(made, decode_photo(data, upright=upright), err_msg=f"{name} {upright}")


def spoilt(file: bytes, rng: random.Random) -> Iterator[bytes]:
    """A JPEG as it is, and cut, with holes, followed by others, with a header that was changed."""
    end = b"\xff\xd9"
    yield from (file, file + bytes(200), file[:-300] + end, file[:-300] + bytes(300) + end, file[:-2])
    yield file[:2] + b"\xff\xe2\0\x06MPF\0" + file[2:] + file
    for _ in range(60):
        damaged = bytearray(file)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(2, min(660, len(file)))] = rng.choice((0, 1, 0x11, 0xFF, rng.randrange(256)))
        yield bytes(damaged)


@pytest.mark.parametrize(
    ("mode", "options", "least"),
    [
        ("RGB", {"subsampling": 2}, 30),
        ("RGB", {"subsampling": 0, "optimize": True}, 30),
        ("L", {}, 30),
        ("RGB", {"progressive": True}, 0),
        ("RGB", {"restart_marker_blocks": 2}, 0),
    ],
)
def test_run_outs_of_jpegs(peer: Peer, tmp_path: Path, mode: str, options: dict[str, Any], least: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8).repeat(3, 0).repeat(3, 1)
    pixels[:, -24:] = 128  # for codes of plain blocks
    Image.fromarray(pixels).convert(mode).save(tmp_path / "photo.jpg", **options)
    given = 0
    for data in spoilt((tmp_path / "photo.jpg").read_bytes(), random.Random(0)):
        (tmp_path / "spoilt.jpg").write_bytes(data)
        ours = trusted(data)
        assert peer("run-out", path=tmp_path / "spoilt.jpg", into=tmp_path / "made") == (ours is not None)
        if ours is not None:
            given += 1
            assert (tmp_path / "made").read_bytes() == ours
    assert given >= least


def bitmap(height: int, width: int) -> bytes:
    Image.new("RGB", (4, 4), "orange").save(encoded := io.BytesIO(), "BMP")
    return encoded.getvalue()[:18] + struct.pack("<ll", width, height) + encoded.getvalue()[26:]


def png(height: int, width: int) -> bytes:
    header = chunk(struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0), b"IHDR")
    return b"\x89PNG\r\n\x1a\n" + header + chunk(zlib.compress(b"\0"), b"IDAT") + chunk(b"", b"IEND")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_photos_that_are_none_are_refused_in_the_same_words(peer: Peer, tmp_path: Path) -> None:
    huge, none = (14000, 14000), (0, 4)
    cases = {"huge.png": png(*huge), "none.png": png(*none), "huge.bmp": bitmap(*huge), "none.bmp": bitmap(*none)}
    cases |= {"empty.jpg": b"", "text.jpg": b"no \x00\xff 'image'\n at all", "quote": b"it's", "both": b"'\""}
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        ours = refusal(partial(decode_photo, data, name=str(tmp_path / name)))
        assert ours
        assert refusal(partial(peer, "photo", path=tmp_path / name, upright=True, into=tmp_path / "pixels")) == ours
    (tmp_path / "from its top.bmp").write_bytes(bitmap(-4, 4))
    assert peer("photo", path=tmp_path / "from its top.bmp", upright=True, into=tmp_path / "pixels") == [4, 4]
    with pytest.raises(Refused, match="cannot be read: No such file or directory"):
        peer("photo", path=tmp_path / "none.jpg", upright=True, into=tmp_path / "pixels")


def test_finding_photos(peer: Peer, tmp_path: Path) -> None:
    for name in ("b.jpg", "A.PNG", "c.txt", "sub/d.jpeg", "sub/deep/e.webp", ".hidden/f.jpg", "sub.x/g.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"-")
    for source in ("", "b.jpg", "c.txt", "*.jpg", "**/*.jpg", "**/*.jpeg", "sub/**/*.webp", "s*/[dg].jp*g", "**/sub/*"):
        expected = [str(file) for file in find_files([f"{tmp_path}/{source}"])]
        assert peer("find", path=f"{tmp_path}/{source}") == expected, source


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=some.integers(0, 2**32 - 1), raw=some.booleans(), letterbox=some.booleans(), half=some.booleans())
def test_decoding_and_json(peer: Peer, tmp_path: Path, seed: int, raw: bool, letterbox: bool, half: bool) -> None:
    rng = np.random.default_rng(seed)
    queries, photos = int(rng.integers(1, 9)), [(30, 70), (480, 640), (7, 3)]
    contract = ModelContract(
        (32, 48),
        output_form="raw" if raw else "detections",
        sizes_name=None if raw else "sizes",
        resize=ResizeRule("letterbox" if letterbox else "stretch"),
        class_names=("a", "b"),
        top_k=10,
    )
    outputs: dict[str, npt.NDArray[Any]] = {"boxes": rng.random((3, queries, 4), np.float32)}
    if raw:
        outputs["logits"] = rng.normal(0, 3, (3, queries, 3)).astype(np.float16 if half else np.float32)
    else:
        outputs["boxes"] *= 100
        outputs["scores"] = rng.random((3, queries)).astype(np.float16 if half else np.float32)
        outputs["labels"] = rng.integers(0, 4, (3, queries)).astype(np.int64)
    for name, value in outputs.items():
        (tmp_path / name).write_bytes(value.tobytes())
    lines = peer(
        "decode",
        metadata=contract.to_metadata(),
        photos=photos,
        outputs={name: [tmp_path / name, value.shape, value.dtype.name] for name, value in outputs.items()},
    )
    placements = [place(size, contract.input_size, contract.resize) for size in photos]
    for line, found, size in zip(lines, decode(contract, outputs, placements), photos, strict=True):
        item = PhotoPixels(np.zeros((1, 1, 3), np.uint8), "photo")
        ours = orjson.loads(orjson.dumps(json_row(Outcome(item, size, None, found), contract.class_names)))
        theirs = json.loads(line)
        assert list(theirs) == list(ours)
        assert len(theirs["detections"]) == len(ours["detections"])
        if len({row["score"] for row in ours["detections"]}) < len(ours["detections"]):
            continue  # rows of one score have no order
        for one, other in zip(theirs["detections"], ours["detections"], strict=True):
            assert list(one) == list(other)
            assert one["label"] == other["label"]
            assert one["score"] == pytest.approx(
                other["score"], abs=1.1e-5
            )  # exp in float32 may differ in its last bit
            assert one["box"] == pytest.approx(other["box"], abs=0.011)


@pytest.mark.parametrize("name", [b"a\xff.jpg", b"\xe2\x82.jpg", b"\xf0\x80\x80", "ä ✓.jpg".encode(), b"\xc3"])
def test_names_that_are_no_utf_8(peer: Peer, name: bytes) -> None:
    item = PhotoPixels(np.zeros((1, 1, 3), np.uint8), name_of(Path(os.fsdecode(name))))
    error = ImageError("It is no photo.", "Give one.")
    ours = orjson.dumps(json_row(Outcome(item, error=error)))
    line = peer("line of error", name=list(name), error=list(str(error).encode()))
    assert json.loads(line) == orjson.loads(ours)


@pytest.mark.parametrize(("streams", "clocks"), [(1, [1980, 1755]), (3, [])])
def test_benchmark_reports(peer: Peer, tmp_path: Path, streams: int, clocks: list[int]) -> None:
    rng = np.random.default_rng(streams)
    rounds = [Round(tuple(rng.random(9 + turn).tolist()), float(rng.random() * 9)) for turn in range(5)]
    asked = [[list(turn.runs), turn.wall] for turn in rounds]
    text = peer("report", rounds=asked, streams=streams, batch=4, clocks=clocks)
    (tmp_path / "bench.json").write_text(text)
    report = load_report(tmp_path / "bench.json")
    subject = Subject("m.engine", "TensorRT, C++", "fp16", "cuda:0", "engine", 4, True, streams)
    ours = asdict(timings_from(subject, rounds, clocks=clocks, warm_up_runs=7, settled=False))
    theirs = asdict(report.rows[0])
    assert theirs.pop("subject") == ours.pop("subject")
    assert theirs.pop("clocks_mhz") == ours.pop("clocks_mhz")
    assert theirs.pop("rounds") == pytest.approx(ours.pop("rounds"))
    assert theirs == pytest.approx(ours)
