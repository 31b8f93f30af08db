"""The import paths that the first users already write."""

import importlib

import pytest

PATHS = (
    "conv2d.features.FSQ",
    "conv2d.features.FSQResult",
    "conv2d.features.encode_fsq",
    "conv2d.features.fsq_contract.FSQResult",
    "conv2d.features.fsq_contract.encode_fsq",
    "conv2d.features.numpy.fsq_indices",
    "conv2d.clustering.KMeansClusterer",
    "conv2d.clustering.GMMClusterer",
    "conv2d.clustering.DirichletProcessClusterer",
    "conv2d.clustering.HDPClusterer",
    "conv2d.clustering.match_labels",
    "conv2d.temporal.HSMM",
    "conv2d.temporal.HSMMPolicy",
    "conv2d.temporal.median.MedianHysteresisPolicy",
    "conv2d.temporal.to_segments",
    "conv2d.temporal.from_segments",
    "conv2d.metrics.core.MetricsCalculator",
    "conv2d.metrics.expected_calibration_error",
    "conv2d.metrics.TemperatureScaler",
    "conv2d.metrics.SplitConformal",
    "conv2d.metrics.segment_f1",
    "conv2d.metrics.edit_score",
    "conv2d.metrics.tiou",
    "conv2d.metrics.mutual_information",
    "conv2d.metrics.transfer_entropy",
    "conv2d.metrics.dwell_times",
    "conv2d.logging.structured.setup_logging",
    "conv2d.logging.structured.log_fsq_config",
    "conv2d.packaging.create_bundle",
    "conv2d.packaging.verify_bundle",
    "conv2d.packaging.Bundle.open",
)


@pytest.mark.parametrize("path", PATHS)
def test_importable(path: str) -> None:
    parts = path.split(".")
    depth = next(i for i, part in enumerate(parts) if part[0].isupper() or i == len(parts) - 1)
    found: object = importlib.import_module(".".join(parts[:depth]))
    for name in parts[depth:]:
        found = getattr(found, name)
    assert callable(found)


@pytest.mark.parametrize("path", sorted({path.split(".")[1] for path in PATHS}))
def test_public_surface_is_listed(path: str) -> None:
    module = importlib.import_module(f"conv2d.{path}")
    assert module.__all__, "list the public names in __all__"
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
