"""A model whose states are contexts: the operations before the current one, as far back as a grammar looks."""

from dataclasses import dataclass
from typing import Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal._check import Labels
from conv2d.temporal._hsmm import HSMM
from conv2d.temporal._online import Anticipation, OnlineHSMM

Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ContextModel:
    """A hidden semi-Markov model over contexts of operations.

    Attributes
    ----------
    model : HSMM
        One state per context.
    operation : int32, shape (S,)
        The operation of each state; without longer contexts, states are operations.
    n_operations : int
        K.
    """

    model: HSMM
    operation: Labels
    n_operations: int

    @classmethod
    def of(cls, model: HSMM, log_initial: Float, log_transition: Float, operation: Labels) -> Self:
        """Return the model over contexts with the durations of the operations.

        Parameters
        ----------
        model : HSMM
            The model over operations.
        log_initial, log_transition : float64, shape (S,) and (S, S)
            Of the contexts.
        operation : int32, shape (S,)
            The operation of each.

        Returns
        -------
        ContextModel
            The model over contexts.
        """
        durations = [model.durations[k] for k in cast("list[int]", operation.tolist())]
        contexts = HSMM(log_initial, log_transition, durations, model.right, model.left)
        return cls(contexts, operation, model.n_states)

    def evidence(self, log_likelihood: ArrayLike) -> NDArray[np.floating]:
        """Return the evidence for the contexts.

        Parameters
        ----------
        log_likelihood : float64 or float32, shape (…, K)
            Log-likelihood of each step under each operation.

        Returns
        -------
        float, shape (…, S)
            Under each state of `model`.
        """
        return np.asarray(log_likelihood)[..., self.operation]

    def fold(self, probability: ArrayLike) -> Float:
        """Return the probabilities of operations.

        Parameters
        ----------
        probability : float64, shape (…, S)
            Of the states.

        Returns
        -------
        float64, shape (…, K)
            Summed over the contexts of each operation.
        """
        return np.asarray(probability, dtype=np.float64) @ np.eye(self.n_operations)[self.operation]

    def anticipate(self, online: OnlineHSMM) -> Anticipation:
        """Return the next operation and when it comes.

        Parameters
        ----------
        online : OnlineHSMM
            Of `model`, at the current step.

        Returns
        -------
        Anticipation
            Of operations.
        """
        states = online.anticipate()
        probability = self.fold(states.probability)
        waits = self.fold(np.where(states.probability > 0, states.probability * states.expected_steps, 0.0))
        steps = np.divide(waits, probability, out=np.full_like(waits, np.nan), where=probability > 0)
        return Anticipation(probability, steps)
