"""Bins of every class's probability at once: the one-vs-rest tables behind class-wise calibration."""

from __future__ import annotations

import numpy as np

from ._binning import Closed, Scheme, bin_edges, bin_index
from ._inputs import FloatArray, Groups, Scored
from ._rows import BLOCK
from ._sums import bin_sums


def class_bin_sums(
    sample: Scored, n_bins: int, closed: Closed, by: Groups | None = None, weight: FloatArray | None = None
) -> FloatArray:
    """Reliability sums ``(G, K, 3, B)`` of each class on equal-width bins: windows, probability, labels of the class.

    Works in blocks of rows, so that nothing of the size of the probabilities is ever held, and along the rows, so that
    neighbours fall into bins of different classes.
    """
    edges = bin_edges(sample.confidence, n_bins, "uniform")
    n_classes, n_groups = sample.n_classes, 1 if by is None else by.n
    width = n_classes * n_bins
    counts, probabilities, labels = sums = np.zeros((3, n_groups * width))
    step = max(1, BLOCK // n_classes)
    first = np.tile(np.arange(n_classes) * n_bins, step)
    for start in range(0, len(sample.y_true), step):
        rows = slice(start, start + step)
        values = sample.y_prob[rows].astype(np.float64).ravel()
        cell = bin_index(values, edges, closed)
        cell += first[: len(cell)]
        if by is not None:
            cell += np.repeat(by.codes[rows] * width, n_classes)
        own = cell[np.arange(0, len(cell), n_classes) + sample.y_true[rows]]
        if weight is None:
            counts += np.bincount(cell, minlength=len(counts))
            labels += np.bincount(own, minlength=len(counts))
        else:
            each = np.repeat(weight[rows], n_classes)
            counts += np.bincount(cell, each, len(counts))
            labels += np.bincount(own, weight[rows], len(counts))
            values *= each
        probabilities += np.bincount(cell, values, len(counts))
    return np.moveaxis(sums.reshape(3, n_groups, n_classes, n_bins), 0, 2)


def class_tables(sample: Scored, n_bins: int, scheme: Scheme, closed: Closed) -> list[FloatArray]:
    """Reliability sums ``(3, B)`` of each class; equal-mass bins differ in number from class to class."""
    if scheme == "uniform":
        return list(class_bin_sums(sample, n_bins, closed, weight=sample.weight)[0])
    tables: list[FloatArray] = []
    for index in range(sample.n_classes):
        probability = np.ascontiguousarray(sample.y_prob[:, index], dtype=np.float64)
        edges = bin_edges(probability, n_bins, scheme)
        hit = (sample.y_true == index).astype(np.float64)
        bins = bin_index(probability, edges, closed)
        tables.append(bin_sums(probability, hit, bins, len(edges) - 1, weight=sample.weight)[0])
    return tables
