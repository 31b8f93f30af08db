"""Classification and calibration figures with confidence intervals over subjects.

Pure functions on numpy arrays, results in frozen dataclasses. Everywhere: a window labelled −1 is ignored, sums run in
float64, probabilities are float32 or float64 with rows that sum to 1, and what is undefined is NaN, never 0.
"""

from ._behaviour import DwellTimes, Survival, Transitions, dwell_times, transition_matrix
from ._bootstrap import Interval, bootstrap_ci
from ._boundaries import SegmentTiming, boundary_f1, boundary_matches, segment_timing
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
from ._codebook import CodeBehaviour, CodebookUsage, code_behaviour_information, codebook_usage
from ._coherence import Coherence, coherence
from ._conformal import PredictionSets, SplitConformal
from ._coverage import CoverageReport, coverage_report
from ._ethogram import BoutStatistics, TimeBudget, bout_statistics, time_budget
from ._evaluation import Evaluation, SubjectScore, evaluate_probabilities
from ._gates import Gate, GateResult, GateVerdict, check_gates
from ._information import Information, entropy_rate, mutual_information, transfer_entropy
from ._intervals import AveragePrecision, average_precision, tiou
from ._lagged import LagProfile, WindowedCorrelation, cross_correlation, lagged_kappa, windowed_cross_correlation
from ._losses import brier_score, nll
from ._operations import OperationScore, anticipation_accuracy, operation_accuracy, operation_tiou
from ._phase import (
    CircularStatistics,
    PhaseLocking,
    StatePhase,
    circular_statistics,
    instantaneous_phase,
    phase_locking,
    state_phase_information,
)
from ._quality import QualityReport, quality_report
from ._recurrence import Lines, Recurrence, cross_recurrence
from ._segments import (
    Matches,
    Segments,
    edit_score,
    segment_f1,
    segment_matches,
    segmental_f1,
    segments,
)
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
from ._temperature import TemperatureScaler, softmax
from ._uncertainty import EntropyDecomposition, entropy_decomposition, predictive_entropy
from ._ward import WardFrames, ward_frames
from ._windows import Windowed, dynamic_windows, sliding_windows, windowed
from .core import Metrics, MetricsCalculator

__all__ = [
    "AveragePrecision",
    "BoutStatistics",
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
    "LagProfile",
    "Lines",
    "Matches",
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
    "TimeBudget",
    "Transitions",
    "WardFrames",
    "Windowed",
    "WindowedCorrelation",
    "accuracy",
    "adjust_p_values",
    "anticipation_accuracy",
    "average_precision",
    "balanced_accuracy",
    "bootstrap_ci",
    "boundary_f1",
    "boundary_matches",
    "bout_statistics",
    "brier_score",
    "calibration_error",
    "check_gates",
    "circular_statistics",
    "classification_report",
    "classwise_ece",
    "code_behaviour_information",
    "codebook_usage",
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
    "evaluate_probabilities",
    "expected_calibration_error",
    "f1_score",
    "instantaneous_phase",
    "lagged_kappa",
    "max_softmax_score",
    "mutual_information",
    "nll",
    "ood_auroc",
    "operation_accuracy",
    "operation_tiou",
    "phase_locking",
    "predictive_entropy",
    "quality_report",
    "reliability",
    "risk_coverage",
    "segment_f1",
    "segment_matches",
    "segment_timing",
    "segmental_f1",
    "segments",
    "sliding_windows",
    "softmax",
    "state_phase_information",
    "time_budget",
    "tiou",
    "transfer_entropy",
    "transition_matrix",
    "ward_frames",
    "windowed",
    "windowed_cross_correlation",
]
