"""Classification and calibration figures with confidence intervals over subjects.

Pure functions on numpy arrays, results in frozen dataclasses. Everywhere: a window labelled −1 is ignored, sums run in
float64, probabilities are float32 or float64 with rows that sum to 1, and what is undefined is NaN, never 0.
"""

from ._accumulator import MetricAccumulator
from ._adaptive import AdaptiveConformal, AdaptiveRun
from ._agreement import class_coverage, cohen_kappa, matthews_correlation, motif_count
from ._behaviour import DwellTimes, Survival, Transitions, dwell_times, transition_matrix
from ._bootstrap import bootstrap_ci
from ._calibration import (
    Reliability,
    calibration_error,
    classwise_ece,
    expected_calibration_error,
    reliability,
)
from ._classification import (
    ClassificationReport,
    accuracy,
    balanced_accuracy,
    classification_report,
    confusion_matrix,
    f1_score,
)
from ._codebook import CodebookUsage, codebook_usage
from ._conformal import PredictionSets, SplitConformal
from ._coverage import CoverageReport, coverage_report
from ._evaluation import Evaluation, SubjectScore, Timeline, evaluate, evaluate_probabilities
from ._gates import Gate, GateResult, GateVerdict, check_gates
from ._intervals import Interval
from ._losses import BrierDecomposition, brier_decomposition, brier_score, nll
from ._plots import reliability_figure
from ._probability_scaling import IsotonicScaling, VennAbers
from ._ranking import auroc, average_precision_score, top_k_accuracy
from ._segments import (
    Matches,
    boundary_f1,
    boundary_matches,
    edit_score,
    segment_f1,
    segment_matches,
    tiou,
)
from ._smooth import smooth_ece
from ._smoothing_effect import CalibrationChange, calibration_change
from ._temperature import TemperatureScaler, TemperatureScaling, softmax
from ._uncertainty import EntropyDecomposition, entropy_decomposition
from ._vector_scaling import VectorScaling
from .core import Metrics, MetricsCalculator

__all__ = [
    "AdaptiveConformal",
    "AdaptiveRun",
    "BrierDecomposition",
    "CalibrationChange",
    "ClassificationReport",
    "CodebookUsage",
    "CoverageReport",
    "DwellTimes",
    "EntropyDecomposition",
    "Evaluation",
    "Gate",
    "GateResult",
    "GateVerdict",
    "Interval",
    "IsotonicScaling",
    "Matches",
    "MetricAccumulator",
    "Metrics",
    "MetricsCalculator",
    "PredictionSets",
    "Reliability",
    "SplitConformal",
    "SubjectScore",
    "Survival",
    "TemperatureScaler",
    "TemperatureScaling",
    "Timeline",
    "Transitions",
    "VectorScaling",
    "VennAbers",
    "accuracy",
    "auroc",
    "average_precision_score",
    "balanced_accuracy",
    "bootstrap_ci",
    "boundary_f1",
    "boundary_matches",
    "brier_decomposition",
    "brier_score",
    "calibration_change",
    "calibration_error",
    "check_gates",
    "class_coverage",
    "classification_report",
    "classwise_ece",
    "codebook_usage",
    "cohen_kappa",
    "confusion_matrix",
    "coverage_report",
    "dwell_times",
    "edit_score",
    "entropy_decomposition",
    "evaluate",
    "evaluate_probabilities",
    "expected_calibration_error",
    "f1_score",
    "matthews_correlation",
    "motif_count",
    "nll",
    "reliability",
    "reliability_figure",
    "segment_f1",
    "segment_matches",
    "smooth_ece",
    "softmax",
    "tiou",
    "top_k_accuracy",
    "transition_matrix",
]
