"""The decoder chip itself, given files whose data end early."""

from __future__ import annotations

import numpy as np
import pytest

from detrt.images.read import decode_jpeg
from detrt.runtime.gpu import Gpu
from tests.gpu.chip import by_the_chip
from tests.images.test_run_out import KINDS, cuts, ends_flat, jpeg, photo, trusted


@pytest.mark.parametrize("kind", KINDS)
def test_the_chip_comes_to_rest_where_data_end_early_and_changes_no_whole_photo(
    gpu: Gpu, kind: dict[str, object]
) -> None:
    whole = [jpeg(photo(seed, 480, 640), **kind) for seed in range(6)]  # type: ignore[arg-type]
    damaged = [cut for seed, file in enumerate(whole) for cut in cuts(file, 10, seed)]
    decoded = by_the_chip(gpu, [given for file in whole + damaged if (given := trusted(file))])
    assert len(decoded) == len(whole + damaged)
    for file, pixels in zip(whole, decoded, strict=False):
        assert np.abs(pixels.astype(int) - decode_jpeg(file)).max() <= 2  # as without a run-out
    assert np.mean([ends_flat(pixels) for pixels in decoded[len(whole) :]]) >= 0.95
