"""Batches of log-likelihoods: checked once, worked on one sequence at a time, in threads where asked."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal._backend import kernels
from conv2d.temporal._check import check_at_least
from conv2d.temporal._inference import Sequence, Tables

Float = NDArray[np.float64]
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Log-likelihoods as (B, T, K), with the steps of each sequence, which of them were seen, and the model."""

    array: NDArray[np.floating]
    lengths: NDArray[np.intp]
    known: NDArray[np.bool_]
    transitions: NDArray[np.floating] | None
    model: Tables
    single: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """(B, T, K)."""
        sequences, steps, states = self.array.shape
        return sequences, steps, states

    def __len__(self) -> int:
        return len(self.array)

    def steps(self, b: int) -> int:
        """Return the steps of sequence b."""
        return int(self.lengths[b])

    def sequence(self, b: int) -> tuple[Sequence, float]:
        """Return sequence b with the maximum of each step subtracted, and the sum of what was subtracted.

        So scores stay small, and precise, over long sequences.
        """
        run, steps = kernels(), self.steps(b)
        rows = np.ascontiguousarray(self.array[b, :steps])
        evidence = np.empty(rows.shape)
        offset = run.level(rows, self.known[b, :steps], evidence)
        if np.isnan(offset):
            raise ValueError(
                f"log_likelihood holds NaN or +inf in sequence {b}. A missing step is a row of zeros or False in `mask`, "
                "an impossible state -inf."
            )
        model = self.model
        if self.transitions is not None:
            model = model.with_transitions(np.array(self.transitions[b, :steps], dtype=np.float64, order="C"))
        return Sequence(run, model, evidence, b), offset

    def each(self, work: Callable[[int], None], n_threads: int) -> None:
        """Do the work for every sequence; of several errors the first sequence's is raised."""
        check_at_least("n_threads", n_threads, 1)
        if n_threads == 1 or len(self) < 2:
            for b in range(len(self)):
                work(b)
            return
        with ThreadPoolExecutor(min(n_threads, len(self))) as pool:
            for done in [pool.submit(work, b) for b in range(len(self))]:
                done.result()

    def unwrap(self, result: NDArray[Scalar]) -> NDArray[Scalar]:
        """Drop the batch axis of a result where the input had none."""
        return np.asarray(result[0]) if self.single else result


def read_batch(
    model: Tables,
    log_likelihood: ArrayLike,
    lengths: ArrayLike | None,
    mask: ArrayLike | None,
    log_transitions: ArrayLike | None,
) -> Batch:
    """Check shapes and types; the values are checked when they are read."""
    states = model.forward.initial.size
    array = np.asarray(log_likelihood)
    if array.dtype.name not in ("float32", "float64"):
        raise TypeError(f"log_likelihood must be float64 or float32, got dtype {array.dtype}.")
    if array.ndim not in (2, 3) or array.shape[-1] != states or array.shape[-2] == 0:
        raise ValueError(
            f"log_likelihood must have shape (T, K) or (B, T, K) with K={states} states and T >= 1, got {array.shape}."
        )
    batch = array.reshape(-1, *array.shape[-2:])
    counted = np.full(len(batch), batch.shape[1], dtype=np.intp)
    if lengths is not None:
        counted = _checked_lengths(lengths, array.shape)
    known = np.ones(batch.shape[:2], dtype=np.bool_)
    if mask is not None:
        marked = np.asarray(mask)
        if marked.dtype != np.bool_ or marked.shape != array.shape[:-1]:
            raise ValueError(
                f"mask must be bool of shape {array.shape[:-1]}, False at missing steps; got {marked.dtype} of shape "
                f"{marked.shape}."
            )
        known = np.ascontiguousarray(marked.reshape(known.shape))
    transitions = None
    if log_transitions is not None:
        transitions = check_transitions(log_transitions, (*array.shape, states)).reshape(*batch.shape, states)
    return Batch(batch, counted, known, transitions, model, single=array.ndim == 2)


def check_transitions(log_transitions: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.floating]:
    """Check transitions of every step, or of one."""
    array = np.asarray(log_transitions)
    if array.dtype.name not in ("float32", "float64"):
        raise TypeError(f"log_transitions must be float64 or float32, got dtype {array.dtype}.")
    if array.shape != shape:
        raise ValueError(
            f"log_transitions must have shape {shape}, the log probabilities of the next state (last axis) for a "
            f"segment that begins at each step; got {array.shape}."
        )
    if not np.isneginf(np.diagonal(array, axis1=-2, axis2=-1)).all():
        raise ValueError("log_transitions must be -inf on the diagonal of each step: a state does not follow itself.")
    total = np.exp(array, dtype=np.float64).sum(axis=-1)
    if not ((np.abs(total - 1) < 1e-5) | (total == 0)).all():
        raise ValueError(
            "log_transitions must hold the logarithms of probabilities that sum to 1 in each row, or a row of -inf; got "
            f"sums from {np.nanmin(total):.6g} to {np.nanmax(total):.6g}."
        )
    return array


def _checked_lengths(lengths: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.intp]:
    array = np.asarray(lengths)
    if len(shape) != 3:
        raise ValueError("lengths belong to a batch of shape (B, T, K); cut a single sequence instead.")
    if not np.issubdtype(array.dtype, np.integer) or array.shape != shape[:1]:
        raise ValueError(f"lengths must be integers of shape ({shape[0]},), got {array.dtype} of shape {array.shape}.")
    if array.size and (array.min() < 1 or array.max() > shape[1]):
        raise ValueError(f"lengths must lie in 1..{shape[1]}, got {array.min()} to {array.max()}.")
    return array.astype(np.intp)
