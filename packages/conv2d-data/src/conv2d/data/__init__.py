"""Recordings of two motion sensors to quality-checked windows: readers, alignment, splits, normaliser, simulator."""

from conv2d.data._align import DeviceStream, LabelTrack, align
from conv2d.data._errors import DataError
from conv2d.data._normaliser import Normaliser
from conv2d.data._quality import DeviceQuality, QualityReport, RecordingQuality, quality_report
from conv2d.data._readers import READERS, read_recordings
from conv2d.data._recording import CHANNELS, N_DEVICES, Recording, Repairs
from conv2d.data._resample import resample
from conv2d.data._splits import Split, block_split, check_disjoint, group_folds, holdout_split
from conv2d.data._table import write_table
from conv2d.data._windows import WINDOW_STEPS, Dropped, Windows, check_windows, make_windows
from conv2d.data.simulator import DEVICES, SIMULATED_LABELS, SimulatorConfig, simulate

__all__ = [
    "CHANNELS",
    "DEVICES",
    "N_DEVICES",
    "READERS",
    "SIMULATED_LABELS",
    "WINDOW_STEPS",
    "DataError",
    "DeviceQuality",
    "DeviceStream",
    "Dropped",
    "LabelTrack",
    "Normaliser",
    "QualityReport",
    "Recording",
    "RecordingQuality",
    "Repairs",
    "SimulatorConfig",
    "Split",
    "Windows",
    "align",
    "block_split",
    "check_disjoint",
    "check_windows",
    "group_folds",
    "holdout_split",
    "make_windows",
    "quality_report",
    "read_recordings",
    "resample",
    "simulate",
    "write_table",
]
