"""Vector scaling: one factor and one offset a class, by maximum likelihood."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ._inputs import FloatArray, IntArray, Probabilities
from ._rows import BLOCK
from ._temperature import calibration_sample, finite_logits, softmax

_STEPS = 200
_TOLERANCE = 1e-9


class VectorScaling:
    """Probabilities softmax(w ∘ z + b): a factor and an offset for each class, fitted on held-out windows.

    Where a temperature only makes a model more or less sure, this also corrects classes that are predicted too often or
    too rarely; it needs more windows for it. The NLL is convex in (w, b) but has no optimum on separable data, and none
    that is unique ever (a common offset changes nothing), so a weak pull towards w = 1, b = 0 is added. Newton steps
    with a line search then always converge.

    Parameters
    ----------
    penalty : float
        λ > 0 of the pull: Σ NLL + λ/2 (Σ(w − 1)² + Σb²) is minimised. The default is worth a hundredth of a window.

    Attributes
    ----------
    factors, offsets : ndarray of float64, shape (K,)
        w, and b, whose sum is 0. Need a fit.
    status : {"interior", "separable"}
        ``separable``: every window's true class is on top after scaling, so that the penalty alone keeps w finite.
    n_windows : int
        Labelled windows of the fit.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> logits = np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
    >>> scaler = VectorScaling().fit(logits, [0, 0, 1, 1, 1])
    >>> scaler.status, scaler.transform(logits)[[0, -1], 1].round(2)
    ('interior', array([0.33, 1.  ]))
    """

    factors: FloatArray
    offsets: FloatArray
    status: Literal["interior", "separable"]
    n_windows: int

    def __init__(self, *, penalty: float = 0.01) -> None:
        if not (penalty > 0 and np.isfinite(penalty)):
            raise ValueError(f"penalty: must be a positive finite number, got {penalty!r}.")
        self.penalty = penalty

    def fit(self, logits: npt.ArrayLike, y_true: npt.ArrayLike) -> VectorScaling:
        """Find factors and offsets.

        Parameters
        ----------
        logits : array_like of float32 or float64, shape (..., K)
            Finite.
        y_true : array_like of int, shape (...)
            Class indices; windows labelled −1 are ignored.

        Returns
        -------
        VectorScaling
            This object.

        Raises
        ------
        TypeError, ValueError
            As `TemperatureScaler.fit`.
        """
        z, true = calibration_sample(logits, y_true)
        n_classes = z.shape[1]
        # Large logits are taken in units of the largest, so that no power of one overflows; the penalty follows.
        scale = max(float(np.abs(z).max()), 1.0)
        z /= scale
        centre = np.concatenate([np.full(n_classes, scale), np.zeros(n_classes)])
        pull = self.penalty * np.concatenate([np.full(n_classes, scale**-2), np.ones(n_classes)])
        at = np.concatenate([np.ones(n_classes), np.zeros(n_classes)])
        loss, slope, curvature = _objective(at, z, true, centre, pull)
        for _ in range(_STEPS):
            step = np.linalg.lstsq(curvature, slope, rcond=None)[0]
            decrement = float(slope @ step)
            if decrement <= _TOLERANCE:  # twice how far the loss, in nats over all windows, still lies above its least
                break
            length = 1.0
            while True:
                there = at - length * step
                found = _objective(there, z, true, centre, pull)
                if found[0] <= loss - 0.25 * length * decrement or length < 1e-10:
                    break
                length /= 2
            if length < 1e-10:
                break
            at, (loss, slope, curvature) = there, found
        self.factors, self.offsets = at[:n_classes] / scale, at[n_classes:] - at[n_classes:].mean()
        self.n_windows = len(true)
        scaled = self._scaled(z * scale)
        own = np.take_along_axis(scaled, true[:, None], axis=1)[:, 0]
        self.status = "separable" if bool((own == scaled.max(axis=1)).all()) else "interior"
        return self

    def transform(self, logits: npt.ArrayLike) -> Probabilities:
        """Calibrated probabilities of `logits`.

        Parameters
        ----------
        logits : array_like of float32 or float64, shape (..., K)
            Finite.

        Returns
        -------
        ndarray of the dtype of `logits`, shape (..., K)

        Raises
        ------
        RuntimeError
            Called before `fit`.
        TypeError, ValueError
            As `softmax`; another number of classes than in `fit`.
        """
        self._require_fit()
        z = finite_logits(logits)
        if z.shape[-1] != len(self.factors):
            raise ValueError(f"logits: needs the {len(self.factors)} classes of the fit last, got shape {z.shape}.")
        return softmax(self._scaled(z.astype(np.float64))).astype(z.dtype)

    def to_dict(self) -> dict[str, Any]:
        """Write the fitted state as JSON-safe values; `from_dict` reads it back."""
        self._require_fit()
        return {
            "factors": self.factors.tolist(),
            "offsets": self.offsets.tolist(),
            "status": self.status,
            "n_windows": self.n_windows,
            "penalty": self.penalty,
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> VectorScaling:
        """Make a fitted scaler from `to_dict`.

        Raises
        ------
        ValueError
            A key is missing or unknown, or factors and offsets are not finite numbers, one each a class.
        """
        wanted = {"factors", "offsets", "status", "n_windows", "penalty"}
        if set(state) != wanted:
            raise ValueError(f"state: keys must be {', '.join(sorted(wanted))}, got {sorted(state)}.")
        scaler = cls(penalty=state["penalty"])
        scaler.factors, scaler.offsets = (np.array(state[key], dtype=np.float64) for key in ("factors", "offsets"))
        if scaler.factors.ndim != 1 or scaler.factors.shape != scaler.offsets.shape:
            raise ValueError("state: factors and offsets must be one number each a class.")
        if not np.isfinite([scaler.factors, scaler.offsets]).all():
            raise ValueError("state: factors and offsets must be finite.")
        scaler.status, scaler.n_windows = state["status"], state["n_windows"]
        return scaler

    def _scaled(self, z: FloatArray) -> FloatArray:
        return z * self.factors + self.offsets

    def _require_fit(self) -> None:
        if not hasattr(self, "factors"):
            raise RuntimeError("VectorScaling: not fitted yet. Call fit(logits, y_true) on calibration windows first.")


def _objective(
    at: FloatArray, z: FloatArray, true: IntArray, centre: FloatArray, pull: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """Penalised NLL over all windows at (w, b), its gradient ``(2K,)`` and its Hessian ``(2K, 2K)``."""
    n_classes = z.shape[1]
    factors, offsets = at[:n_classes], at[n_classes:]
    loss = float((pull * (at - centre) ** 2).sum()) / 2
    slope, curvature = pull * (at - centre), np.diag(pull)
    factor, offset = range(n_classes), range(n_classes, 2 * n_classes)
    for start in range(0, len(z), BLOCK):
        block, own = z[start : start + BLOCK], true[start : start + BLOCK]
        logits = block * factors + offsets
        logits -= logits.max(axis=1, keepdims=True)
        here = np.arange(len(block))
        p = np.exp(logits)
        total = p.sum(axis=1)
        loss += float(np.log(total).sum() - logits[here, own].sum())
        p /= total[:, None]
        joint = np.concatenate([p * block, p], axis=1)
        own_sums = np.concatenate([np.bincount(own, block[here, own], n_classes), np.bincount(own, None, n_classes)])
        slope += joint.sum(axis=0) - own_sums
        curvature -= joint.T @ joint
        second, first = np.einsum("nk,nk,nk->k", p, block, block), joint[:, :n_classes].sum(axis=0)
        curvature[factor, factor] += second
        curvature[factor, offset] += first
        curvature[offset, factor] += first
        curvature[offset, offset] += p.sum(axis=0)
    return loss, slope, curvature
