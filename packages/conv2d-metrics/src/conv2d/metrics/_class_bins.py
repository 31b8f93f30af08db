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

    Works in blocks of rows, so that no transposed copy of the probabilities is ever held.
    """
    edges = bin_edges(sample.confidence, n_bins, "uniform")
    n_classes, n_groups = sample.n_classes, 1 if by is None else by.n
    width = n_classes * n_bins
    sums = np.zeros((3, n_groups * width))
    first = np.arange(n_classes)[:, None] * n_bins
    for start in range(0, len(sample.y_true), BLOCK):
        rows = slice(start, start + BLOCK)
        columns = np.ascontiguousarray(sample.y_prob[rows].T, dtype=np.float64)
        cell = bin_index(columns.ravel(), edges, closed).reshape(columns.shape) + first
        if by is not None:
            cell += by.codes[rows] * width
        own = cell[sample.y_true[rows], np.arange(cell.shape[1])]
        if weight is None:
            sums[0] += np.bincount(cell.ravel(), minlength=sums.shape[1])
            sums[2] += np.bincount(own, minlength=sums.shape[1])
        else:
            sums[0] += np.bincount(cell.ravel(), np.tile(weight[rows], n_classes), sums.shape[1])
            sums[2] += np.bincount(own, weight[rows], sums.shape[1])
            columns *= weight[rows]
        sums[1] += np.bincount(cell.ravel(), columns.ravel(), sums.shape[1])
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
