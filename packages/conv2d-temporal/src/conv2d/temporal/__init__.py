"""Smoothing of label sequences, explicit-duration hidden semi-Markov models, and segments.

A label sequence is int32 of shape (T,) or (B, T), one label per step, -1 for a step to ignore. Every smoothing policy
has one method, ``smooth(labels, probabilities=None)``, and returns the same shape.
"""

from conv2d.temporal import durations, emissions
from conv2d.temporal._context import ContextModel
from conv2d.temporal._dwell import MinDwellPolicy
from conv2d.temporal._grammar import Grammar, GrammarDecoding, Overruled
from conv2d.temporal._hsmm import HSMM
from conv2d.temporal._hsmm_policy import HSMMPolicy
from conv2d.temporal._hysteresis import HysteresisPolicy
from conv2d.temporal._learn import Fit, fit, fit_supervised
from conv2d.temporal._mode import ModeFilterPolicy
from conv2d.temporal._online import Anticipation, OnlineHSMM, OnlineState
from conv2d.temporal._policy import Pipeline, SmoothingPolicy, dwell_steps
from conv2d.temporal._results import ExpectedCounts, ImpossibleSequenceError, KBest, Posteriors, Viterbi
from conv2d.temporal._sample import sample, score
from conv2d.temporal._segments import Segment, from_segments, to_segments
from conv2d.temporal._stream import PolicyStream
from conv2d.temporal._tune import Candidate, Tuning, tune_policy
from conv2d.temporal.median import MedianHysteresisPolicy

__all__ = [
    "HSMM",
    "Anticipation",
    "Candidate",
    "ContextModel",
    "ExpectedCounts",
    "Fit",
    "Grammar",
    "GrammarDecoding",
    "HSMMPolicy",
    "HysteresisPolicy",
    "ImpossibleSequenceError",
    "KBest",
    "MedianHysteresisPolicy",
    "MinDwellPolicy",
    "ModeFilterPolicy",
    "OnlineHSMM",
    "OnlineState",
    "Overruled",
    "Pipeline",
    "PolicyStream",
    "Posteriors",
    "Segment",
    "SmoothingPolicy",
    "Tuning",
    "Viterbi",
    "durations",
    "dwell_steps",
    "emissions",
    "fit",
    "fit_supervised",
    "from_segments",
    "sample",
    "score",
    "to_segments",
    "tune_policy",
]
