"""Recordings of two motion sensors to quality-checked windows: readers, alignment, splits, normaliser, simulator."""

from conv2d.data._errors import DataError
from conv2d.data._normaliser import Normaliser
from conv2d.data._recording import CHANNELS, N_DEVICES, Recording, Repairs
from conv2d.data._splits import Split, block_split, check_disjoint, group_folds, holdout_split
from conv2d.data._windows import WINDOW_STEPS, Dropped, Windows, check_windows, make_windows

__all__ = [
    "CHANNELS",
    "N_DEVICES",
    "WINDOW_STEPS",
    "DataError",
    "Dropped",
    "Normaliser",
    "Recording",
    "Repairs",
    "Split",
    "Windows",
    "block_split",
    "check_disjoint",
    "check_windows",
    "group_folds",
    "holdout_split",
    "make_windows",
]
