"""Emissions: densities of the data under each state, for models learnt without labels.

An emission turns observations into the log-likelihoods that `HSMM` takes, and is estimated again from the posterior
probabilities of the states. `fit(model, observations, emission=…)` learns both together.
"""

from dataclasses import dataclass
from typing import Protocol, Self, cast, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal._first_guess import shares_of_blocks, spread_centres

__all__ = ["Categorical", "Emission", "Gaussian", "Multinomial"]

Float = NDArray[np.float64]

_SUM_TOLERANCE = 1e-6


@runtime_checkable
class Emission(Protocol):
    """A density of observations under each of K states."""

    @property
    def event_ndim(self) -> int:
        """Axes of one observation: 0 for a code, 1 for a vector."""
        ...

    def log_likelihood(self, observations: ArrayLike) -> Float:
        """Return the log density of each observation under each state, float64 (…, K)."""
        ...

    def estimate(self, observations: NDArray[np.generic], weight: Float) -> Self:
        """Return the emission fitted to N observations, whose weights under each state are (N, K)."""
        ...


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Normal densities with full covariances.

    Parameters
    ----------
    mean : float64, shape (K, F)
        Mean of each state.
    covariance : float64, shape (K, F, F)
        Covariance of each state, positive definite.
    prior : float
        Pseudo-observations with the mean of all variances, uncorrelated, that `estimate` adds to each covariance: so
        a state of few steps does not collapse.

    Examples
    --------
    >>> emission = Gaussian(np.array([[0.0], [4.0]]), np.ones((2, 1, 1)))
    >>> emission.log_likelihood(np.array([[0.0], [4.0]])).round(2)
    array([[-0.92, -8.92],
           [-8.92, -0.92]])
    """

    mean: Float
    covariance: Float
    prior: float = 1.0

    def __post_init__(self) -> None:
        mean, covariance = np.asarray(self.mean), np.asarray(self.covariance)
        if mean.ndim != 2 or covariance.shape != (*mean.shape, mean.shape[1]):
            raise ValueError(
                f"mean (K, F) and covariance (K, F, F) must agree, got shapes {mean.shape} and {covariance.shape}."
            )
        try:
            np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError as error:
            raise ValueError("covariance must be positive definite for every state; add to its diagonal.") from error
        _check_prior(self.prior)

    @classmethod
    def start(cls, observations: ArrayLike, n_states: int, seed: int) -> Self:
        """Return a first guess: centres spread over the observations (…, F), and one covariance for all.

        Parameters
        ----------
        observations : float, shape (…, F)
            What is to be explained; rows with NaN are left out.
        n_states : int
            K.
        seed : int
            Seed of the random numbers.

        Returns
        -------
        Gaussian
            Where `fit` may begin.
        """
        rows = np.asarray(observations, dtype=np.float64)
        rows = rows.reshape(-1, rows.shape[-1])
        rows = rows[np.isfinite(rows).all(axis=1)]
        centres = spread_centres(rows, n_states, seed)
        nearest = ((rows[:, None, :] - centres) ** 2).sum(axis=2).argmin(axis=1)
        left = rows - centres[nearest]
        covariance = left.T @ left / len(rows) + 1e-6 * np.diag(rows.var(axis=0) + 1e-12)
        return cls(centres, np.repeat(covariance[None], n_states, axis=0))

    @property
    def event_ndim(self) -> int:
        """Axes of one observation: 1."""
        return 1

    def log_likelihood(self, observations: ArrayLike) -> Float:
        """Return the log density of each observation under each state.

        Parameters
        ----------
        observations : float, shape (…, F)
            The data.

        Returns
        -------
        float64, shape (…, K)
            Log densities.
        """
        rows = np.asarray(observations, dtype=np.float64)
        if rows.ndim < 1 or rows.shape[-1] != self.mean.shape[1]:
            raise ValueError(f"observations must have shape (…, {self.mean.shape[1]}), got {rows.shape}.")
        result = np.empty((*rows.shape[:-1], len(self.mean)))
        for k in range(len(self.mean)):
            root = _root(self.covariance[k])
            apart = (rows - self.mean[k]) @ np.linalg.inv(root).T
            constant = rows.shape[-1] * np.log(2 * np.pi) / 2 + np.log(np.diagonal(root)).sum()
            result[..., k] = -(apart**2).sum(axis=-1) / 2 - constant
        return result

    def estimate(self, observations: NDArray[np.generic], weight: Float) -> Self:
        """Return the densities fitted to weighted observations.

        Parameters
        ----------
        observations : float, shape (N, F)
            The data.
        weight : float64, shape (N, K)
            Posterior probability of each state.

        Returns
        -------
        Gaussian
            With means and covariances of the weighted data; a state without weight keeps its mean.
        """
        rows = np.asarray(observations, dtype=np.float64)
        total = weight.sum(axis=0)
        mean = np.where(total[:, None] > 0, weight.T @ rows / np.maximum(total, 1e-300)[:, None], self.mean)
        pooled = np.diag(rows.var(axis=0) + 1e-12)
        covariance = np.empty_like(self.covariance)
        for k in range(len(mean)):
            apart = rows - mean[k]
            covariance[k] = ((weight[:, k, None] * apart).T @ apart + self.prior * pooled) / (total[k] + self.prior)
        return type(self)(mean, covariance, self.prior)


@dataclass(frozen=True, eq=False)
class Categorical:
    """Probabilities of codes, such as the indices of a quantiser.

    Parameters
    ----------
    probability : float64, shape (K, V)
        Probability of each of V codes; rows sum to 1.
    prior : float
        Pseudo-count of every code under every state (Dirichlet prior) in `estimate`.

    Examples
    --------
    >>> np.exp(Categorical(np.array([[0.9, 0.1], [0.2, 0.8]])).log_likelihood([0, 1])).round(2)
    array([[0.9, 0.2],
           [0.1, 0.8]])
    """

    probability: Float
    prior: float = 0.1

    def __post_init__(self) -> None:
        _check_table(self.probability)
        _check_prior(self.prior)

    @classmethod
    def start(cls, observations: ArrayLike, n_states: int, n_codes: int, seed: int) -> Self:
        """Return a first guess from histograms of neighbouring codes.

        Parameters
        ----------
        observations : int, shape (T,) or (B, T)
            Codes 0..V-1.
        n_states, n_codes : int
            K and V.
        seed : int
            Seed of the random numbers.

        Returns
        -------
        Categorical
            Where `fit` may begin.
        """
        codes = _codes(observations, n_codes)
        return cls(shares_of_blocks(np.eye(n_codes)[codes.reshape(-1)], n_states, seed))

    @property
    def event_ndim(self) -> int:
        """Axes of one observation: 0."""
        return 0

    def log_likelihood(self, observations: ArrayLike) -> Float:
        """Return the log probability of each code under each state.

        Parameters
        ----------
        observations : int, shape (…,)
            Codes 0..V-1.

        Returns
        -------
        float64, shape (…, K)
            Log probabilities.
        """
        codes = _codes(observations, self.probability.shape[1])
        with np.errstate(divide="ignore"):
            return np.log(self.probability).T[codes]

    def estimate(self, observations: NDArray[np.generic], weight: Float) -> Self:
        """Return the probabilities fitted to weighted codes.

        Parameters
        ----------
        observations : int, shape (N,)
            Codes.
        weight : float64, shape (N, K)
            Posterior probability of each state.

        Returns
        -------
        Categorical
            With the weighted frequencies and the prior.
        """
        codes = _codes(observations, self.probability.shape[1])
        counts = [np.bincount(codes, weights=row, minlength=self.probability.shape[1]) for row in weight.T]
        return type(self)(_shares(np.stack(counts) + self.prior, self.probability), self.prior)


@dataclass(frozen=True, eq=False)
class Multinomial:
    """Probabilities of counts, such as the codes of all tokens of a window.

    Parameters
    ----------
    probability : float64, shape (K, V)
        Probability of each of V codes at every draw; rows sum to 1.
    prior : float
        Pseudo-count of every code under every state (Dirichlet prior) in `estimate`.

    Notes
    -----
    The multinomial coefficient is left out: it is the same for all states.

    Examples
    --------
    >>> Multinomial(np.array([[0.5, 0.5], [0.1, 0.9]])).log_likelihood([[2, 2], [0, 4]]).round(2)
    array([[-2.77, -4.82],
           [-2.77, -0.42]])
    """

    probability: Float
    prior: float = 0.1

    def __post_init__(self) -> None:
        _check_table(self.probability)
        _check_prior(self.prior)

    @classmethod
    def start(cls, observations: ArrayLike, n_states: int, seed: int) -> Self:
        """Return a first guess from sums of neighbouring counts.

        Parameters
        ----------
        observations : int, shape (T, V) or (B, T, V)
            Counts.
        n_states : int
            K.
        seed : int
            Seed of the random numbers.

        Returns
        -------
        Multinomial
            Where `fit` may begin.
        """
        counts = np.asarray(observations, dtype=np.float64)
        return cls(shares_of_blocks(counts.reshape(-1, counts.shape[-1]), n_states, seed))

    @property
    def event_ndim(self) -> int:
        """Axes of one observation: 1."""
        return 1

    def log_likelihood(self, observations: ArrayLike) -> Float:
        """Return the log probability of each row of counts under each state, less the multinomial coefficient.

        Parameters
        ----------
        observations : int, shape (…, V)
            Counts, not negative.

        Returns
        -------
        float64, shape (…, K)
            Log probabilities.
        """
        counts = np.asarray(observations, dtype=np.float64)
        codes = self.probability.shape[1]
        if counts.ndim < 1 or counts.shape[-1] != codes or not (counts >= 0).all():
            raise ValueError(f"observations must be counts >= 0 of shape (…, {codes}), got shape {counts.shape}.")
        with np.errstate(divide="ignore"):
            log_probability = np.log(self.probability)
        # 0 times -inf is 0 here: what was not drawn does not matter.
        possible = np.where(np.isneginf(log_probability), 0.0, log_probability)
        result = counts @ possible.T
        return np.where(counts @ np.isneginf(log_probability).T > 0, -np.inf, result)

    def estimate(self, observations: NDArray[np.generic], weight: Float) -> Self:
        """Return the probabilities fitted to weighted counts.

        Parameters
        ----------
        observations : int, shape (N, V)
            Counts.
        weight : float64, shape (N, K)
            Posterior probability of each state.

        Returns
        -------
        Multinomial
            With the weighted frequencies and the prior.
        """
        drawn = weight.T @ np.asarray(observations, dtype=np.float64)
        return type(self)(_shares(drawn + self.prior, self.probability), self.prior)


def _root(covariance: Float) -> Float:
    return cast("Float", np.linalg.cholesky(covariance))


def _shares(weight: NDArray[np.floating], otherwise: Float) -> Float:
    """Return the rows divided by their sums; those without any weight stay as they were."""
    total = weight.sum(axis=1, keepdims=True)
    return np.where(total > 0, weight / np.maximum(total, 1e-300), otherwise)


def _codes(observations: ArrayLike, n_codes: int) -> NDArray[np.intp]:
    codes = np.asarray(observations)
    if not np.issubdtype(codes.dtype, np.integer):
        raise TypeError(f"observations must be integer codes, got dtype {codes.dtype}.")
    if codes.size and (codes.min() < 0 or codes.max() >= n_codes):
        raise ValueError(f"codes must lie in 0..{n_codes - 1}, got {codes.min()} to {codes.max()}; mask missing steps.")
    return codes.astype(np.intp)


def _check_table(probability: Float) -> None:
    table = np.asarray(probability)
    if table.ndim != 2 or not (table >= 0).all() or np.abs(table.sum(axis=1) - 1).max(initial=0) > _SUM_TOLERANCE:
        raise ValueError(f"probability must be (K, V), not negative, with rows that sum to 1; got shape {table.shape}.")


def _check_prior(prior: float) -> None:
    if not (np.isfinite(prior) and prior >= 0):
        raise ValueError(f"prior must be a finite count of at least 0, got {prior!r}.")
