"""Fits that do not depend on each other, handed to whatever runs them."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.clustering._check import check_groups
from conv2d.clustering._untyped import clone

Item = TypeVar("Item")
Result = TypeVar("Result")
Model = TypeVar("Model")


def run_all(function: Callable[[Item], Result], items: Iterable[Item], executor: Any) -> list[Result]:
    """Return the results in order, computed here or by an executor."""
    if executor is None:
        return [function(item) for item in items]
    if hasattr(executor, "map"):  # concurrent.futures, multiprocessing.Pool, ray.util.multiprocessing.Pool, dask
        return list(cast("Iterable[Result]", executor.map(function, items)))
    if callable(executor):  # joblib.Parallel takes what joblib.delayed makes: function, arguments, keywords
        calls: list[tuple[Any, tuple[Item], dict[str, Any]]] = [(function, (item,), {}) for item in items]
        return list(cast("Iterable[Result]", executor(calls)))
    raise TypeError(
        f"executor must have a method map, as concurrent.futures and ray.util.multiprocessing.Pool have, or be a "
        f"joblib.Parallel; got {type(executor).__name__}."
    )


def fit_groups(
    clusterer: Model,
    features: ArrayLike,
    groups: ArrayLike,
    *,
    k: int | None = None,
    prior_labels: ArrayLike | None = None,
    executor: Any = None,
) -> dict[str, Model]:
    """Fit one clusterer to each group by itself, on one machine or many.

    Parameters
    ----------
    clusterer : MotifClusterer
        It is cloned for each group, never changed.
    features : float32, float64 or codes, shape (N, F)
        One point per row.
    groups : strings or integers, shape (N,)
        The group (subject) of each row.
    k : int, optional
        Number of components in every group; chosen in each when absent.
    prior_labels : int32, shape (N,), optional
        Earlier motif ids; each group is matched to those of its own rows.
    executor : optional
        Anything with ``map(function, items)``, as an executor of `concurrent.futures` or a
        ``ray.util.multiprocessing.Pool``; or a ``joblib.Parallel``. By default the fits run one after another. The
        results are the same.

    Returns
    -------
    dict of str to clusterer
        The fitted clusterer of each group, by name.

    Raises
    ------
    TypeError
        If `executor` is none, or groups are neither strings nor integers.
    ValueError
        If there is not one group per row, or a fit refuses the rows of a group.

    Examples
    --------
    >>> from conv2d.clustering import KMeansClusterer, fit_groups
    >>> models = fit_groups(KMeansClusterer(), [[0.0], [1.0], [5.0], [6.0]], ["ann", "ann", "bob", "bob"], k=1)
    >>> {name: model.cluster_centers_.tolist() for name, model in models.items()}
    {'ann': [[0.5]], 'bob': [[5.5]]}
    """
    table = np.asarray(features)
    names, member = check_groups(groups, len(table))
    before = None if prior_labels is None else np.asarray(prior_labels)
    if before is not None and before.shape != member.shape:
        raise ValueError(
            f"prior_labels must label the same points as features, got {before.shape} for {len(table)} rows."
        )
    jobs = [
        (clone(clusterer), name, table[member == g], k, None if before is None else before[member == g])
        for g, name in enumerate(names)
    ]
    return dict(zip(names, run_all(_fitted, jobs, executor), strict=True))


def _fitted(job: tuple[Any, str, NDArray[Any], int | None, NDArray[Any] | None]) -> Any:
    model, name, rows, k, before = job
    try:
        return model.fit(rows, k=k, prior_labels=before)
    except (TypeError, ValueError) as error:
        raise type(error)(f"Group {name!r}: {error}") from error
