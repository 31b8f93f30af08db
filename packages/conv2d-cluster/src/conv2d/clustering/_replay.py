"""A fit made again from its audit trail, and compared with it."""

import importlib
import json
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from conv2d.clustering._adapter import ScikitLearnClusterer
from conv2d.clustering._audit import AUDIT_FORMAT
from conv2d.clustering._base import MotifClusterer
from conv2d.clustering._check import Labels
from conv2d.clustering._codes import CodeMixtureClusterer
from conv2d.clustering._dirichlet import DirichletProcessClusterer
from conv2d.clustering._gmm import GMMClusterer
from conv2d.clustering._hdp import HDPClusterer
from conv2d.clustering._kmeans import KMeansClusterer

_CLASSES: dict[str, type[MotifClusterer[Any]]] = {
    kind.__name__: kind
    for kind in (
        CodeMixtureClusterer,
        DirichletProcessClusterer,
        GMMClusterer,
        HDPClusterer,
        KMeansClusterer,
        ScikitLearnClusterer,
    )
}
_PARTS = (
    "format",
    "class",
    "params",
    "seed",
    "data",
    "call",
    "versions",
    "threads",
    "selection",
    "merges",
    "match",
    "continuation",
)
# Distances and scores of two runs may differ in the last digits where the labels do not.
_DIGITS = 9


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """What `replay` found.

    Attributes
    ----------
    same : bool
        Whether the labels are those of the audit, to the last point.
    labels : int32, shape (N,), or None
        The labels of the new fit; None where the data could not be fitted as the audit says.
    differences : tuple of str
        One sentence for each part that differs: data, versions, threads, choice of k, merges, matches, labels.
    """

    same: bool
    labels: Labels | None
    differences: tuple[str, ...]


def replay(audit: dict[str, Any], data: ArrayLike) -> Replay:
    """Fit again as an audit says, and compare.

    Parameters
    ----------
    audit : dict
        What `audit` of a clusterer returned, also after a way through JSON.
    data : float32, float64 or codes, shape (N, F)
        The rows that were fitted; after `partial_fit`, those of all batches.

    Returns
    -------
    Replay
        Whether the labels are the same, and what differs.

    Raises
    ------
    ValueError
        If `audit` is no audit, or names an estimator outside scikit-learn.

    Examples
    --------
    >>> from conv2d.clustering import KMeansClusterer, replay
    >>> features = [[0.0], [0.1], [0.2], [5.0], [5.1]]
    >>> audit = KMeansClusterer().fit(features, k=2).audit(features)
    >>> replay(audit, features).same
    True
    >>> replay(audit, [[0.0], [0.1], [0.2], [5.0], [0.3]]).differences[1]
    'labels: 1 of 5 differ, the first is row 4: 1 in the audit, 0 now.'
    """
    _check_audit(audit)
    kind, call = _CLASSES[audit["class"]], audit["call"]
    model = kind(**{name: _parameter(value) for name, value in audit["params"].items()})
    rows, table = call["rows"], np.asarray(data)
    if table.ndim != 2 or list(table.shape) != _shape(audit):
        return Replay(False, None, (f"data: shape {_shape(audit)} in the audit, {list(table.shape)} now.",))
    groups = call["groups"]
    named = {} if groups is None else {"groups": np.array(groups["names"])[groups["codes"]]}
    batches = np.split(table, np.cumsum(rows)[:-1])
    cast("Any", model).fit(batches[0], k=call["k"], prior_labels=call["prior_labels"], next_id=call["next_id"], **named)
    for batch in batches[1:]:
        cast("KMeansClusterer", model).partial_fit(batch)
    # Through JSON, so that tuples are lists on both sides.
    now = json.loads(json.dumps(model.audit(table)))
    then = json.loads(json.dumps(audit))
    labels_differ = _labels_differ(then["result"]["labels"], now["result"]["labels"])
    found = [
        _difference("data", then["data"], now["data"]),
        *(_difference(f"versions, {name}", was, now["versions"].get(name)) for name, was in then["versions"].items()),
        _difference("threads", then["threads"], now["threads"]),
        *(
            _difference(part, _rounded(then[part]), _rounded(now[part]))
            for part in ("selection", "merges", "match", "continuation")
        ),
        labels_differ,
    ]
    return Replay(labels_differ is None, model.labels_, tuple(text for text in found if text is not None))


def _check_audit(audit: dict[str, Any]) -> None:
    if audit.get("format") != AUDIT_FORMAT:
        raise ValueError(f"An audit has format {AUDIT_FORMAT!r}, got {audit.get('format')!r}.")
    missing = {*_PARTS, "result"} - audit.keys()
    if missing:
        raise ValueError(f"The audit is incomplete: {', '.join(sorted(missing))} missing.")
    if audit["class"] not in _CLASSES:
        raise ValueError(f"The audit is of {audit['class']!r}, not of one of {', '.join(_CLASSES)}.")


def _shape(audit: dict[str, Any]) -> list[int]:
    # The table of a hierarchical process has the group in front of the features.
    rows, columns = audit["data"]["shape"]
    return [rows, columns - (audit["class"] == HDPClusterer.__name__)]


def _parameter(value: Any) -> Any:
    """Return a parameter from its JSON form; estimators only of scikit-learn, because importing runs code."""
    if not isinstance(value, dict):
        return value
    stored = cast("dict[str, Any]", value)
    module, _, name = str(stored["estimator"]).rpartition(".")
    if module.split(".")[0] != "sklearn" or not name.isidentifier():
        raise ValueError(f"Only estimators of scikit-learn can be replayed, the audit has {stored['estimator']!r}.")
    kind = getattr(importlib.import_module(module), name)
    return kind(**{key: _parameter(item) for key, item in stored["params"].items()})


def _difference(name: str, then: Any, now: Any) -> str | None:
    return None if then == now else f"{name}: {_short(then)} in the audit, {_short(now)} now."


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else text[:200] + " …"


def _labels_differ(then: list[int], now: list[int]) -> str | None:
    differ = [row for row, (was, is_now) in enumerate(zip(then, now, strict=True)) if was != is_now]
    if not differ:
        return None
    first = differ[0]
    return (
        f"labels: {len(differ)} of {len(then)} differ, the first is row {first}: {then[first]} in the audit, "
        f"{now[first]} now."
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_rounded(item) for item in cast("list[Any]", value)]
    return value
