"""What the hidden semi-Markov model returns, and the error when a sequence cannot have come from it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


class ImpossibleSequenceError(ValueError):
    """No segmentation of a sequence has a positive probability under the model."""


@dataclass(frozen=True, slots=True, eq=False)
class Viterbi:
    """The most probable state sequence.

    Attributes
    ----------
    path : int32, shape (T,) or (B, T)
        State of each step; -1 beyond a sequence's length.
    score : float64, shape () or (B,)
        Log joint probability of the path's segmentation and the data.
    """

    path: NDArray[np.int32]
    score: Float


@dataclass(frozen=True, slots=True, eq=False)
class KBest:
    """The most probable segmentations, the best first.

    Attributes
    ----------
    paths : int32, shape (k, T) or (B, k, T)
        States of each; -1 beyond a sequence's length, and where a sequence has fewer than k segmentations.
    scores : float64, shape (k,) or (B, k)
        Log joint probability of each segmentation and the data; -inf where there is none.
    """

    paths: NDArray[np.int32]
    scores: Float


@dataclass(frozen=True, slots=True, eq=False)
class Posteriors:
    """Probabilities given the whole sequence.

    Attributes
    ----------
    state : float64, shape (T, K) or (B, T, K)
        Of being in the state at the step; rows sum to 1, and are 0 beyond a sequence's length.
    start : float64, same shape
        That a segment of the state starts at the step. The first row is that of the first segment.
    end : float64, same shape
        That a segment of the state has the step as its last. A segment cut off by right censoring has no end.
    log_likelihood : float64, shape () or (B,)
        Log probability of the data.
    """

    state: Float
    start: Float
    end: Float
    log_likelihood: Float


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedCounts:
    """Expected numbers of events given the whole sequence: the sufficient statistics of the model.

    Attributes
    ----------
    initial : float64, shape (K,) or (B, K)
        Of first segments of each state; sums to 1.
    transitions : float64, shape (K, K) or (B, K, K)
        Of changes from the row's state to the column's.
    durations : float64, shape (K, D) or (B, K, D)
        Of completed segments of each state and duration; column d - 1 for d steps. A segment cut off by right
        censoring is not counted, nor one cut off by left censoring.
    unfinished : float64, same shape
        Of last segments cut off by right censoring, by the number of steps seen; 0 where there is no such censoring.
    log_likelihood : float64, shape () or (B,)
        Log probability of the data.
    """

    initial: Float
    transitions: Float
    durations: Float
    unfinished: Float
    log_likelihood: Float
