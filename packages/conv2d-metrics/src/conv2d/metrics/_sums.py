"""Sufficient sums: small tables that add over shards and groups, and the figures that are functions of a table.

This is the one idea that makes figures mergeable and their bootstrap fast. Each table is built per group in one pass,
``(G, ...)``; the table of any collection of groups is a (weighted) sum over the first axis; a figure maps the trailing
axes of a table to a number, whatever axes lead. All sums are float64.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._inputs import FloatArray, Groups, IntArray, Scored, choice
from ._rows import at_label

_ROUNDING = 1e-12
"""A denominator below this share of its size is 0: weighted sums of the same windows differ in the last places."""


def tally(
    cell: IntArray, width: int, by: Groups | None, value: FloatArray | None, weight: FloatArray | None
) -> FloatArray:
    """Sum ``value × weight`` (1 where None) of each window into ``(G, width)`` at its group and cell."""
    n_groups = 1 if by is None else by.n
    flat = cell if by is None else by.codes * width + cell
    if value is not None and weight is not None:
        value = value * weight
    amounts = weight if value is None else value
    sums = np.bincount(flat, weights=amounts, minlength=n_groups * width)
    return sums.astype(np.float64, copy=False).reshape(n_groups, width)


def confusion_sums(
    y_true: IntArray, y_pred: IntArray, n_classes: int, by: Groups | None = None, weight: FloatArray | None = None
) -> FloatArray:
    """Confusion counts ``(G, K, K)``: rows are true classes, columns predicted ones."""
    cell = y_true * n_classes
    cell += y_pred
    table = tally(cell, n_classes**2, by, None, weight)
    return table.reshape(1 if by is None else by.n, n_classes, n_classes)


def bin_sums(
    confidence: FloatArray,
    correct: FloatArray,
    bin_of: IntArray,
    n_bins: int,
    by: Groups | None = None,
    weight: FloatArray | None = None,
) -> FloatArray:
    """Reliability sums ``(G, 3, B)``: windows, confidence and correct answers in each bin."""
    columns = [tally(bin_of, n_bins, by, value, weight) for value in (None, confidence, correct)]
    return np.stack(columns, axis=1)


def loss_sums(loss: FloatArray, by: Groups | None = None, weight: FloatArray | None = None) -> FloatArray:
    """Loss sums ``(G, 3)``: windows, finite loss and windows of infinite loss.

    Infinite losses are counted, not added: a group left out of a resample would else contribute 0 × ∞ = NaN.
    """
    infinite = np.isinf(loss)
    cell = np.zeros(len(loss), dtype=np.int64)
    columns = (None, np.where(infinite, 0.0, loss), infinite.astype(np.float64))
    return np.concatenate([tally(cell, 1, by, value, weight) for value in columns], axis=1)


def product(one: FloatArray | None, other: FloatArray | None) -> FloatArray | None:
    """Multiply two weights of each window, where None is a weight of 1."""
    if one is None or other is None:
        return other if one is None else one
    return one * other


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """``numerator / denominator``, NaN where nothing was counted."""
    out = np.full(np.broadcast_shapes(np.shape(numerator), np.shape(denominator)), np.nan)
    return np.divide(numerator, denominator, out=out, where=np.asarray(denominator) > 0)


def mean_over(values: FloatArray, chosen: npt.NDArray[np.bool_]) -> FloatArray:
    """Mean of the chosen entries along the last axis, NaN where none is chosen."""
    return ratio(np.where(chosen, values, 0.0).sum(axis=-1), chosen.sum(axis=-1))


def accuracy_of(confusion: FloatArray) -> FloatArray:
    """Share of windows on the diagonal."""
    return ratio(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def balanced_accuracy_of(confusion: FloatArray) -> FloatArray:
    """Mean recall of the classes that occur in the labels."""
    support = confusion.sum(axis=-1)
    return mean_over(ratio(_hits(confusion), support), support > 0)


def class_f1_of(confusion: FloatArray) -> FloatArray:
    """F1 of each class, NaN for a class neither labelled nor predicted."""
    return ratio(2 * _hits(confusion), confusion.sum(axis=-1) + confusion.sum(axis=-2))


def macro_f1_of(confusion: FloatArray, classes: str = "present") -> FloatArray:
    """Mean F1 over the ``present``, ``true`` or ``all`` classes; an absent class among ``all`` counts 0."""
    choice("classes", classes, ("present", "true", "all"))
    f1 = class_f1_of(confusion)
    if classes == "all":
        n_windows = confusion.sum(axis=(-2, -1))
        return np.where(n_windows > 0, np.nan_to_num(f1).mean(axis=-1) if f1.shape[-1] else np.nan, np.nan)
    chosen = confusion.sum(axis=-1) > 0 if classes == "true" else ~np.isnan(f1)
    return mean_over(f1, chosen)


def weighted_f1_of(confusion: FloatArray) -> FloatArray:
    """F1 averaged over the classes by their number of labels."""
    support = confusion.sum(axis=-1)
    return ratio((np.nan_to_num(class_f1_of(confusion)) * support).sum(axis=-1), support.sum(axis=-1))


def mcc_of(confusion: FloatArray) -> FloatArray:
    """Matthews correlation of K classes, NaN when labels or predictions are all of one class."""
    total, hits, support, called = _margins(confusion)
    with_itself = (total**2 - (support**2).sum(axis=-1)) * (total**2 - (called**2).sum(axis=-1))
    scale = np.where(with_itself > _ROUNDING * total**4, with_itself, 0.0)
    return ratio(hits * total - (support * called).sum(axis=-1), np.sqrt(scale))


def kappa_of(confusion: FloatArray) -> FloatArray:
    """Cohen's kappa, NaN when chance alone agrees everywhere."""
    total, hits, support, called = _margins(confusion)
    chance = (support * called).sum(axis=-1)
    room = total**2 - chance
    return ratio(hits * total - chance, np.where(room > _ROUNDING * total**2, room, 0.0))


def class_coverage_of(confusion: FloatArray) -> FloatArray:
    """Share of the labelled classes that are predicted at least once."""
    labelled = confusion.sum(axis=-1) > 0
    return ratio((labelled & (confusion.sum(axis=-2) > 0)).sum(axis=-1), labelled.sum(axis=-1))


def motif_count_of(confusion: FloatArray) -> FloatArray:
    """Count the classes predicted at least once."""
    return (confusion.sum(axis=-2) > 0).sum(axis=-1).astype(np.float64)


def calibration_error_of(bins: FloatArray, norm: str = "l1") -> FloatArray:
    """Distance of accuracy from confidence over the bins of ``(..., 3, B)`` sums."""
    choice("norm", norm, ("l1", "l2", "max", "mean"))
    count, confidence, correct = (bins[..., i, :] for i in range(3))
    gap = np.abs(confidence - correct)  # n_b |acc_b − conf_b|
    filled = count > 0
    if norm == "l1":
        return ratio(gap.sum(axis=-1), count.sum(axis=-1))
    if norm == "l2":
        return np.sqrt(ratio(np.nan_to_num(ratio(gap**2, count)).sum(axis=-1), count.sum(axis=-1)))
    gap = ratio(gap, count)
    if norm == "mean":
        return mean_over(gap, filled)
    return np.where(filled.any(axis=-1), np.max(gap, axis=-1, where=filled, initial=0.0), np.nan)


def mean_loss_of(losses: FloatArray) -> FloatArray:
    """Mean of ``(..., 3)`` loss sums, infinite as soon as one window's loss is."""
    return np.where(losses[..., 2] > 0, np.inf, ratio(losses[..., 1], losses[..., 0]))


def log_loss(sample: Scored, floor: float = 0.0) -> FloatArray:
    """−ln p(true class) of each window ``(N,)``, with p raised to ``floor``."""
    p_true = at_label(sample.y_prob, sample.y_true)
    with np.errstate(divide="ignore"):
        return -np.log(np.maximum(p_true, floor))


def squared_loss(sample: Scored) -> FloatArray:
    """Σₖ (pₖ − yₖ)² of each window ``(N,)``, as Σ pₖ² − 2 p(true) + 1 so that no one-hot table is built."""
    prob = sample.y_prob.astype(np.float64, copy=False)
    return np.einsum("nk,nk->n", prob, prob) - 2 * at_label(prob, sample.y_true) + 1


def _hits(confusion: FloatArray) -> FloatArray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _margins(confusion: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """All windows, those on the diagonal, and the windows labelled and predicted as each class."""
    return confusion.sum(axis=(-2, -1)), _hits(confusion).sum(axis=-1), confusion.sum(axis=-1), confusion.sum(axis=-2)
