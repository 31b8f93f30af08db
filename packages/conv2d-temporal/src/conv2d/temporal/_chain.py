"""Models as the recursions read them; numba compiles for named tuples."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


class Chain(NamedTuple):
    """Log probabilities of one direction of time, in arrays that are not written to.

    Attributes
    ----------
    initial : float64, shape (K,)
        Of the first state.
    transition : float64, shape (1, K, K) or (T, K, K)
        Of the next state (column); row t where the transitions differ: of a segment that begins at t.
    first : float64, shape (K, D)
        Of the steps seen of a segment that begins the sequence.
    duration : float64, shape (K, D)
        Of every other segment.
    """

    initial: Float
    transition: Float
    first: Float
    duration: Float


class Markov(NamedTuple):
    """Log probabilities of a plain Markov chain: geometric durations, without a longest one.

    Attributes
    ----------
    initial : float64, shape (K,)
        Of the first state.
    transition : float64, shape (1, K, K) or (T, K, K)
        As in `Chain`; of the next state, given that the state is left.
    stay, leave : float64, shape (K,)
        Of staying in a state for one more step, and of leaving it.
    last : float64, shape (K,)
        Of what the end of the sequence says of the last state: that it is left, or nothing.
    """

    initial: Float
    transition: Float
    stay: Float
    leave: Float
    last: Float
