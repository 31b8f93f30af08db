"""Classification and calibration figures with confidence intervals over subjects.

Pure functions on numpy arrays, results in frozen dataclasses. Everywhere: a window labelled −1 is ignored, sums run in
float64, probabilities are float32 or float64 with rows that sum to 1, and what is undefined is NaN, never 0.
"""

from ._accumulator import MetricAccumulator
from ._adaptive import AdaptiveConformal, AdaptiveRun
from ._agreement import class_coverage, cohen_kappa, matthews_correlation, motif_count
from ._behaviour import DwellTimes, Survival, Transitions, dwell_times, transition_matrix
from ._bootstrap import bootstrap_ci
from ._boundaries import SegmentTiming, boundary_f1, boundary_matches, segment_timing
from ._calibration import Reliability, calibration_error, classwise_ece, expected_calibration_error, reliability
from ._circular import CircularStatistics, StatePhase, circular_statistics, state_phase_information
from ._classification import (
    ClassificationReport,
    accuracy,
    balanced_accuracy,
    classification_report,
    confusion_matrix,
    f1_score,
)
from ._codebook import CodeBehaviour, CodebookUsage, code_behaviour_information, codebook_usage
from ._coherence import Coherence, coherence
from ._conformal import PredictionSets, SplitConformal
from ._coverage import CoverageReport, coverage_report
from ._detections import AveragePrecision, average_precision, tiou
from ._ethogram import BoutStatistics, TimeBudget, bout_statistics, time_budget
from ._evaluation import Evaluation, SubjectScore, Timeline, evaluate, evaluate_probabilities
from ._gates import Gate, GateResult, GateVerdict, check_gates
from ._information import Information, entropy_rate, mutual_information, transfer_entropy
from ._intervals import Interval
from ._lagged import LagProfile, cross_correlation, lagged_kappa
from ._losses import BrierDecomposition, brier_decomposition, brier_score, nll
from ._operations import OperationScore, anticipation_accuracy, operation_accuracy, operation_tiou
from ._phase import PhaseLocking, instantaneous_phase, phase_locking
from ._plots import reliability_figure
from ._probability_scaling import IsotonicScaling, VennAbers
from ._quality import QualityReport, quality_report
from ._ranking import auroc, average_precision_score, top_k_accuracy
from ._recurrence import Lines, Recurrence, cross_recurrence
from ._segments import Matches, Segments, edit_score, segment_f1, segment_matches, segmental_f1, segments
from ._selective import (
    ConfidenceLevels,
    RiskCoverage,
    confidence_levels,
    crps_ensemble,
    energy_score,
    max_softmax_score,
    ood_auroc,
    risk_coverage,
)
from ._significance import adjust_p_values
from ._smooth import smooth_ece
from ._smoothing_effect import CalibrationChange, calibration_change
from ._temperature import TemperatureScaler, TemperatureScaling, softmax
from ._uncertainty import EntropyDecomposition, entropy_decomposition, predictive_entropy
from ._vector_scaling import VectorScaling
from ._ward import WardFrames, ward_frames
from ._windowed_correlation import WindowedCorrelation, windowed_cross_correlation
from ._windows import Windowed, dynamic_windows, sliding_windows, windowed
from .core import Metrics, MetricsCalculator

__all__ = [
    "AdaptiveConformal",
    "AdaptiveRun",
    "AveragePrecision",
    "BoutStatistics",
    "BrierDecomposition",
    "CalibrationChange",
    "CircularStatistics",
    "ClassificationReport",
    "CodeBehaviour",
    "CodebookUsage",
    "Coherence",
    "ConfidenceLevels",
    "CoverageReport",
    "DwellTimes",
    "EntropyDecomposition",
    "Evaluation",
    "Gate",
    "GateResult",
    "GateVerdict",
    "Information",
    "Interval",
    "IsotonicScaling",
    "LagProfile",
    "Lines",
    "Matches",
    "MetricAccumulator",
    "Metrics",
    "MetricsCalculator",
    "OperationScore",
    "PhaseLocking",
    "PredictionSets",
    "QualityReport",
    "Recurrence",
    "Reliability",
    "RiskCoverage",
    "SegmentTiming",
    "Segments",
    "SplitConformal",
    "StatePhase",
    "SubjectScore",
    "Survival",
    "TemperatureScaler",
    "TemperatureScaling",
    "TimeBudget",
    "Timeline",
    "Transitions",
    "VectorScaling",
    "VennAbers",
    "WardFrames",
    "Windowed",
    "WindowedCorrelation",
    "accuracy",
    "adjust_p_values",
    "anticipation_accuracy",
    "auroc",
    "average_precision",
    "average_precision_score",
    "balanced_accuracy",
    "bootstrap_ci",
    "boundary_f1",
    "boundary_matches",
    "bout_statistics",
    "brier_decomposition",
    "brier_score",
    "calibration_change",
    "calibration_error",
    "check_gates",
    "circular_statistics",
    "class_coverage",
    "classification_report",
    "classwise_ece",
    "code_behaviour_information",
    "codebook_usage",
    "cohen_kappa",
    "coherence",
    "confidence_levels",
    "confusion_matrix",
    "coverage_report",
    "cross_correlation",
    "cross_recurrence",
    "crps_ensemble",
    "dwell_times",
    "dynamic_windows",
    "edit_score",
    "energy_score",
    "entropy_decomposition",
    "entropy_rate",
    "evaluate",
    "evaluate_probabilities",
    "expected_calibration_error",
    "f1_score",
    "instantaneous_phase",
    "lagged_kappa",
    "matthews_correlation",
    "max_softmax_score",
    "motif_count",
    "mutual_information",
    "nll",
    "ood_auroc",
    "operation_accuracy",
    "operation_tiou",
    "phase_locking",
    "predictive_entropy",
    "quality_report",
    "reliability",
    "reliability_figure",
    "risk_coverage",
    "segment_f1",
    "segment_matches",
    "segment_timing",
    "segmental_f1",
    "segments",
    "sliding_windows",
    "smooth_ece",
    "softmax",
    "state_phase_information",
    "time_budget",
    "tiou",
    "top_k_accuracy",
    "transfer_entropy",
    "transition_matrix",
    "ward_frames",
    "windowed",
    "windowed_cross_correlation",
]
