"""Running the graph: shapes, batches, determinism."""

import numpy as np
import onnxruntime
import pytest

from conv2d.packaging import Bundle, BundleError, OnnxModel
from conv2d.packaging.testing import small_model, small_windows


def test_batches_are_loops_over_windows(bundle: Bundle) -> None:
    windows = small_windows(5)
    model = bundle.session()
    assert set(model.outputs) == {"logits", "codes"}
    whole = model.run(windows)
    plain = onnxruntime.InferenceSession(small_model(), providers=["CPUExecutionProvider"])
    for index in range(5):
        logits, codes = plain.run(["logits", "codes"], {"windows": windows[index : index + 1]})
        assert np.array_equal(whole["codes"][index : index + 1], np.asarray(codes))
        assert np.abs(whole["logits"][index : index + 1] - np.asarray(logits)).max() <= 1e-5
    again = bundle.session().run(windows)
    assert whole["logits"].tobytes() == again["logits"].tobytes()


def test_no_windows(bundle: Bundle) -> None:
    result = bundle.session().run(small_windows(0))
    assert result["logits"].shape == (0, 3)
    assert result["logits"].dtype == np.float32
    assert result["codes"].shape == (0, 64)
    assert result["codes"].dtype == np.int32


@pytest.mark.parametrize(
    ("windows", "text"),
    [
        (np.zeros((1, 9, 2, 100)), "float64"),
        (np.zeros((9, 2, 100), np.float32), "shape"),
        (np.zeros((1, 9, 2, 99), np.float32), "shape"),
        (np.full((1, 9, 2, 100), np.inf, np.float32), "Inf"),
    ],
)
def test_wrong_windows(bundle: Bundle, windows: np.ndarray, text: str) -> None:
    with pytest.raises(BundleError, match=text):
        bundle.session().run(windows)


def test_threads() -> None:
    with pytest.raises(ValueError, match="threads is 0"):
        OnnxModel(small_model(), threads=0)
