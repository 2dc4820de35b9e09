"""The network sees what the contract says, and boxes find their way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detrt.contract import ModelContract, ResizeRule
from detrt.errors import ImageError
from detrt.images.preprocess import Preprocessor
from detrt.images.read import Pixels
from detrt.images.resize import place, resize

STRETCH = ResizeRule("stretch")
LETTERBOX = ResizeRule("letterbox", pad=114)


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (64, 48), (300, 200), (1080, 1920)])
def test_stretch_is_pillows_antialiased_bilinear(shape: tuple[int, int]) -> None:
    photo = noise(*shape)
    batch, _ = Preprocessor(ModelContract(input_size=(48, 64)))([photo])
    expected = np.asarray(Image.fromarray(photo).resize((64, 48), Image.Resampling.BILINEAR), np.float32) / 255
    assert np.abs(batch[0] - expected.transpose(2, 0, 1)).max() < 1e-6


def test_without_antialias_it_reads_four_pixels() -> None:
    photo = np.zeros((40, 40, 3), np.uint8)
    photo[::4] = 255  # lines that an antialiased reduction by 4 turns into one grey
    plain = resize(photo, place((40, 40), (10, 10), ResizeRule(antialias=False)), ResizeRule(antialias=False))
    smooth = resize(photo, place((40, 40), (10, 10), STRETCH), STRETCH)
    assert set(np.unique(plain)) == {0}  # samples between rows 1 and 2 of every four
    assert 40 < smooth.mean() < 90


def test_channels_scale_mean_and_std_follow_the_contract() -> None:
    photo = np.zeros((8, 8, 3), np.uint8)
    photo[...] = (255, 51, 0)
    contract = ModelContract(input_size=(8, 8), color="BGR", mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0))
    batch, _ = Preprocessor(contract)([photo])
    assert batch.dtype == np.float32
    assert np.allclose(batch[0, :, 0, 0], [(0.0 - 0.1) / 0.5, (0.2 - 0.2) / 0.25, (1.0 - 0.3) / 2.0], atol=1e-6)


def test_letterbox_keeps_the_aspect_centres_and_pads() -> None:
    photo = np.full((50, 100, 3), 200, np.uint8)
    placement = place((50, 100), (64, 64), LETTERBOX)
    assert (placement.size, placement.top, placement.left) == ((32, 64), 16, 0)
    small = resize(photo, placement, LETTERBOX)
    assert (small[16:48] == 200).all()
    assert (small[:16] == 114).all()
    assert (small[48:] == 114).all()


@settings(max_examples=60)
@given(
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.sampled_from([STRETCH, LETTERBOX]),
)
def test_a_photos_corners_map_back_to_its_own_pixels(
    photo: tuple[int, int], cells: tuple[int, int], rule: ResizeRule
) -> None:
    size = cells[0] * 32, cells[1] * 32
    spot = place(photo, size, rule)
    (span_x, span_y), (x, y) = spot.span, spot.offset
    corners = np.array([spot.left, spot.top, spot.left + spot.size[1], spot.top + spot.size[0]])
    shares = corners / np.array([size[1], size[0], size[1], size[0]])
    back = shares * np.array([span_x, span_y, span_x, span_y]) - np.array([x, y, x, y])
    assert np.allclose(back, [0, 0, photo[1], photo[0]], rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_photo_is_an_error(bad: Pixels) -> None:
    with pytest.raises(ImageError, match="shape"):
        Preprocessor(ModelContract(input_size=(8, 8)))([bad])
