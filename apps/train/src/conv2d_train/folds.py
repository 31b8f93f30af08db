"""Which subjects train, calibrate and test: a plan of folds, each of whole subjects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conv2d.data import DataError, Split, Windows, group_folds, holdout_split
from conv2d_train.config import Experiment


@dataclass(frozen=True)
class Plan:
    """The models to train.

    Attributes
    ----------
    folds : tuple of Split
        One for ``holdout``; one per part for ``cross_validation``, where ``calibration`` stays empty.
    refit : tuple of str
        Subjects of the model that is packed, when it is a model of its own; empty for ``holdout``, which packs its only one.
    """

    folds: tuple[Split, ...]
    refit: tuple[str, ...]


def plan_folds(config: Experiment, windows: Windows) -> Plan:
    """Divide the subjects as the experiment says.

    Parameters
    ----------
    config : Experiment
        Its ``split`` section and seed.
    windows : Windows
        All windows.

    Returns
    -------
    Plan
        Every subject is tested at most once.

    Raises
    ------
    DataError
        Too few subjects.
    """
    subjects = windows.subjects
    if config.split.kind == "holdout":
        split = holdout_split(subjects, test=config.split.test, calibration=config.split.calibration, seed=config.seed)
        return Plan((split,), ())
    if len(subjects) < config.split.folds:
        raise DataError(
            f"cross-validation with split.folds={config.split.folds} needs as many subjects, found {len(subjects)}: "
            f"{', '.join(subjects)}. Lower split.folds or add subjects."
        )
    names, counts = np.unique(windows.subject, return_counts=True)
    parts = group_folds(dict(zip(names.tolist(), counts.tolist(), strict=True)), config.split.folds)
    folds = tuple(
        Split(train=tuple(s for s in subjects if s not in part), calibration=(), test=tuple(sorted(part)))
        for part in parts
    )
    return Plan(folds, subjects)
