"""encode_fsq: what it promises and what it refuses."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from conv2d.features import ContractError, FSQResult, encode_fsq
from conv2d.features._fixed import GROUPS, _series, _summary
from conv2d.features.numpy import fsq_quantize


def windows(n: int = 6, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, 9, 2, 100)) * 3).astype(np.float32)


def test_shapes_dtypes_and_frozen() -> None:
    result = encode_fsq(windows(), levels=[8, 6, 5], embedding_dim=64)
    assert (result.codes.shape, result.codes.dtype) == ((6, 64), np.int32)
    assert (result.features.shape, result.features.dtype) == ((6, 192), np.float32)
    assert (result.embeddings.shape, result.embeddings.dtype) == ((6, 64), np.float32)
    assert (result.quantized.shape, result.quantized.dtype) == ((6, 64, 3), np.float32)
    assert ((result.codes >= 0) & (result.codes < 240)).all()
    with pytest.raises(AttributeError):
        result.codes = result.codes  # type: ignore[misc]


def test_the_four_results_agree() -> None:
    result = encode_fsq(windows())
    quantized, codes = fsq_quantize(result.features.reshape(6, 64, 3), [8, 6, 5])
    np.testing.assert_array_equal(result.quantized, quantized)
    np.testing.assert_array_equal(result.codes, codes)
    np.testing.assert_allclose(result.embeddings, quantized.mean(-1), atol=1e-6)


@pytest.mark.parametrize("embedding_dim", [1, 16, 64])
def test_empty_batch(embedding_dim: int) -> None:
    result = encode_fsq(windows(0), embedding_dim=embedding_dim)
    assert result.codes.shape == (0, embedding_dim)
    assert result.quantized.shape == (0, embedding_dim, 3)


def test_a_window_alone_has_the_codes_it_has_in_a_batch() -> None:
    x = windows(8)
    together = encode_fsq(x)
    for i in range(8):
        alone = encode_fsq(x[i : i + 1])
        for name in ("codes", "features", "embeddings", "quantized"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[i])


def corpus_digest(size: int) -> str:
    """Encode a fixed corpus ``size`` windows at a time and hash codes and features."""
    codes, features = hashlib.sha256(), hashlib.sha256()
    x = windows(300)
    for start in range(0, len(x), size):
        result = encode_fsq(x[start : start + size])
        codes.update(result.codes.tobytes())
        features.update(result.features.tobytes())
    return codes.hexdigest() + features.hexdigest()


@pytest.mark.parametrize("threads", ["1", "2"])
def test_same_bytes_in_another_process_with_other_threads_and_batches(threads: str) -> None:
    code = "import sys, runpy\ndigest = runpy.run_path(sys.argv[1])['corpus_digest']\nprint(digest(7))"
    names = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    other = subprocess.run(
        [sys.executable, "-c", code, __file__],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | dict.fromkeys(names, threads),
    ).stdout.strip()
    assert other == corpus_digest(300) == corpus_digest(1)  # 300 windows at once take the compiled path, one does not


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in GROUPS}))
def test_integer_arithmetic_makes_sums_exact(kind: str) -> None:
    """Time reversal changes the order of every sum; a summary keeps every bit, but for the slope, which only turns its sign."""
    x = windows(4)
    forward, backward = (_summary(_series(np.ascontiguousarray(v)), kind) for v in (x, x[..., ::-1]))
    np.testing.assert_array_equal(forward, -backward if kind == "slope" else backward)


def motions(n: int) -> np.ndarray:
    """Windows of made-up motion: gravity in any direction, drifts, swings of any strength and rhythm, noise."""
    rng = np.random.default_rng(5)
    t = np.arange(100) / 100

    def draw(*extra: int) -> np.ndarray:
        return rng.normal(size=(n, 3, 3, 2, *extra))

    strength = np.array([4.0, 1.0, 20.0])[None, :, None, None, None] * 2.0 ** rng.uniform(-7, 2, (n, 1, 1, 1, 1))
    wave = np.sin(2 * np.pi * (2.0 ** rng.uniform(-2, 5, (n, 1, 1, 1, 1)) * t + draw(1)))
    noise = draw(100) * 2.0 ** rng.uniform(-5, 0, (n, 1, 1, 1, 1))
    pull = np.array([9.81, 0.3, 50.0])[None, :, None, None, None] * 2.0 ** rng.uniform(-7, 0.5, (n, 1, 1, 1, 1))
    direction = draw(1)
    direction /= np.linalg.norm(direction, axis=2, keepdims=True)
    x = pull * direction + strength * (draw(1) * wave + draw(1) * (t - 0.5) + noise + 2 * draw(1) * (noise > 0.4))
    return np.ascontiguousarray(x.reshape(n, 9, 2, 100), np.float32)


def test_every_level_of_every_scalar_is_used() -> None:
    quantized = encode_fsq(motions(6000)).quantized.reshape(6000, 192)
    used = [len(np.unique(column)) for column in quantized.T]
    assert used == [8, 6, 5] * 64


def test_the_training_free_codes_are_pinned() -> None:
    """The corpus is made of integers: this digest holds on every machine and with every numpy. A new one is a new codebook."""
    count = 40 * 9 * 2 * 100
    steps = (np.arange(count, dtype=np.uint64) * np.uint64(2654435761) % np.uint64(65536)).astype(np.float32)
    x = (steps / np.float32(2048) - np.float32(16)).reshape(40, 9, 2, 100)
    codes = hashlib.sha256(encode_fsq(x).codes.tobytes()).hexdigest()
    assert codes == "4357cbf8fe0bc1d96d9c09e500933a5dffd0974a1a45af60095df6ea4b9f664f"


def test_memory_does_not_grow_with_the_batch() -> None:
    def peak(n: int) -> int:
        x = windows(n)
        tracemalloc.start()
        encode_fsq(x)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    encode_fsq(windows(300))
    results = 64 * 4 * (1 + 3 + 3 + 1)  # bytes a window: codes, features, quantised, embeddings
    copies = 2  # while they are made
    assert peak(2048) - peak(512) <= 1.1 * copies * results * (2048 - 512)


def test_windows_of_different_motion_get_different_codes() -> None:
    still = np.zeros((1, 9, 2, 100), np.float32)
    still[:, 2] = 9.81
    moving = still + windows(1)
    energies = 8  # the energies of 24 series fill eight tokens of three scalars
    assert (encode_fsq(still).codes != encode_fsq(moving).codes).sum() >= energies


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.zeros((1, 9, 2, 100)), "float64"),
        (np.zeros((9, 2, 100), np.float32), r"\(9, 2, 100\)"),
        (np.zeros((1, 9, 2, 99), np.float32), r"\(1, 9, 2, 99\)"),
        (np.zeros((1, 9, 100, 2), np.float32).transpose(0, 1, 3, 2), "C-contiguous"),
        (np.full((1, 9, 2, 100), np.nan, np.float32), "NaN or Inf"),
        (np.full((1, 9, 2, 100), np.inf, np.float32), r"\(0, 0, 0, 0\)"),
        ([[1.0]], "list"),
    ],
)
def test_everything_else_is_refused(x: np.ndarray, says: str) -> None:
    with pytest.raises(ContractError, match=says):
        encode_fsq(x)


def test_too_many_tokens_for_the_fixed_encoder() -> None:
    with pytest.raises(ContractError, match="too few"):
        encode_fsq(windows(1), embedding_dim=121)


@pytest.mark.parametrize("dim", [0, -1, True])
def test_bad_embedding_dim(dim: int) -> None:
    with pytest.raises(ContractError, match="at least 1"):
        encode_fsq(windows(1), embedding_dim=dim)


def test_a_trained_encoder_is_used_and_checked() -> None:
    x = windows(2)
    tokens = np.random.default_rng(3).normal(size=(2, 4, 3)).astype(np.float32)
    result = encode_fsq(x, [8, 6, 5], 4, encoder=lambda _: tokens)
    assert isinstance(result, FSQResult)
    np.testing.assert_array_equal(result.codes, fsq_quantize(tokens, [8, 6, 5])[1])
    for wrong in (lambda _: tokens.astype(np.float64), lambda _: tokens[:, :3]):
        with pytest.raises(ContractError, match="encoder must return"):
            encode_fsq(x, [8, 6, 5], 4, encoder=wrong)  # type: ignore[arg-type] - float64 is the point
