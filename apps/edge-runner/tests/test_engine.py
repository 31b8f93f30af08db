"""The engine against its parts, written out by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conv2d.data import DataError
from conv2d.packaging import Bundle, BundleError
from conv2d.packaging.testing import small_bundle, small_windows
from conv2d_edge import Engine


def test_it_is_normaliser_model_and_temperature(bundle: Bundle, engine: Engine) -> None:
    windows = small_windows(6) * np.float32(20)
    got = engine.predict(windows)
    # By the numbers in small_bundle: mean (0.5, -0.5), scale (2, 3), clip 8, temperature 1.25.
    mean, scale = (np.array(pair, np.float32)[:, None] for pair in ((0.5, -0.5), (2, 3)))
    outputs = bundle.session().run(np.clip((windows - mean) / scale, -8, 8).astype(np.float32))
    assert np.array_equal(got.codes, outputs["codes"])
    assert np.array_equal(got.logits, outputs["logits"])
    powers = np.exp((outputs["logits"].astype(np.float64) - outputs["logits"].max(1, keepdims=True)) / 1.25)
    assert np.abs(got.probabilities - powers / powers.sum(1, keepdims=True)).max() <= 1e-7  # one float32 rounding
    assert got.probabilities.dtype == np.float32
    assert got.labels.dtype == np.int32
    assert np.array_equal(got.labels, got.probabilities.argmax(1))
    assert engine.labels == ("rest", "walk", "trot")


def test_alone_and_in_a_batch_are_the_same_bytes(engine: Engine) -> None:
    windows = small_windows(5)
    whole = engine.predict(windows)
    for index in range(5):
        alone = engine.predict(windows[index : index + 1])
        assert alone.probabilities.tobytes() == whole.probabilities[index].tobytes()


def test_no_windows(engine: Engine) -> None:
    got = engine.predict(small_windows(0))
    assert got.labels.shape == (0,)
    assert got.probabilities.shape == (0, 3)
    assert got.codes.shape == (0, 64)


@pytest.mark.parametrize(
    "windows",
    [
        np.zeros((1, 9, 2, 100)),
        np.zeros((9, 2, 100), np.float32),
        np.zeros((1, 9, 1, 100), np.float32),
        np.full((1, 9, 2, 100), np.nan, np.float32),
        np.zeros((100, 2, 9, 1), np.float32).T,
        [[0.0]],
    ],
)
def test_the_window_contract_is_strict(engine: Engine, windows: Any) -> None:
    with pytest.raises(DataError):
        engine.predict(windows)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"preprocessing": {}}, r"preprocessing\.json has no 'normaliser'"),
        ({"preprocessing": {"normaliser": {"mean": []}}}, r"preprocessing\.json, 'normaliser'"),
        ({"calibration": {}}, r"calibration\.json has no 'temperature'"),
        ({"calibration": {"temperature": {"temperature": -1.0}}}, r"calibration\.json, 'temperature'"),
    ],
)
def test_a_bundle_that_cannot_be_served(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    with pytest.raises(BundleError, match=text):
        Engine(small_bundle(tmp_path, **change))
