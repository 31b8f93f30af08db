"""Typed events: a function each, its arguments the event's fields."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import cast

from conv2d.logging._setup import get_logger


def log_config(config: Mapping[str, object], *, source: str | os.PathLike[str] | None = None) -> None:
    """Log the resolved configuration of a run, as event ``config``.

    Parameters
    ----------
    config
        The configuration; values whose key names a secret are redacted.
    source
        The file it came from.

    Example
    -------
    >>> from conv2d.logging import setup_logging
    >>> setup_logging(console="off") and log_config({"model": {"levels": [8, 6, 5]}}, source="conf/exp/dogs.yaml")
    """
    get_logger().info("config", config=config, **_given(source=source))


def log_seeds(**seeds: int) -> None:
    """Log the seeds of a run by name, as event ``seeds``.

    Parameters
    ----------
    **seeds
        Each generator's seed.

    Raises
    ------
    TypeError
        If a seed is no whole number.

    Example
    -------
    >>> log_seeds(python=7, numpy=7, torch=7)
    """
    for name, seed in seeds.items():
        _check_whole(name, seed)
    get_logger().info("seeds", seeds=seeds)


def log_fsq_config(levels: Sequence[int], embedding_dim: int, codebook_size: int | None = None) -> None:
    """Log the quantiser's configuration, as event ``fsq_config``.

    Parameters
    ----------
    levels
        Number of levels of each scalar, each at least 2, e.g. ``[8, 6, 5]``.
    embedding_dim
        Tokens per window, at least 1.
    codebook_size
        Number of codes. It follows from `levels`; when given, it is checked.

    Raises
    ------
    TypeError
        If a number is not whole.
    ValueError
        If a level is below 2, `embedding_dim` below 1, or `codebook_size` is not the product of `levels`.

    Example
    -------
    >>> log_fsq_config(levels=[8, 6, 5], embedding_dim=64)
    >>> log_fsq_config(levels=[8, 6, 5], embedding_dim=64, codebook_size=256)
    Traceback (most recent call last):
        ...
    ValueError: codebook_size must be the product of levels [8, 6, 5], which is 240; got 256
    """
    whole = [_check_whole(f"levels[{place}]", level) for place, level in enumerate(levels)]
    if not whole or min(whole) < 2:
        raise ValueError(f"levels must be one or more whole numbers, each at least 2; got {whole}")
    if _check_whole("embedding_dim", embedding_dim) < 1:
        raise ValueError(f"embedding_dim must be at least 1; got {embedding_dim}")
    size = math.prod(whole)
    if codebook_size is not None and _check_whole("codebook_size", codebook_size) != size:
        raise ValueError(f"codebook_size must be the product of levels {whole}, which is {size}; got {codebook_size}")
    get_logger().info("fsq_config", levels=whole, embedding_dim=int(embedding_dim), codebook_size=size)


def log_clustering(method: str, n_clusters: int, n_samples: int, **details: object) -> None:
    """Log a clustering, as event ``clustering``.

    Parameters
    ----------
    method
        E.g. ``"gmm"``.
    n_clusters, n_samples
        What came out and what went in.
    **details
        Scores and the like.

    Example
    -------
    >>> log_clustering("gmm", n_clusters=7, n_samples=2400, bic=-1520.25)
    """
    counts = {"n_clusters": _check_whole("n_clusters", n_clusters), "n_samples": _check_whole("n_samples", n_samples)}
    get_logger().info("clustering", **{**details, "method": method, **counts})


def log_merge(kept: int, merged: Sequence[int], reason: str, **details: object) -> None:
    """Log that motifs were merged, as event ``merge``.

    Parameters
    ----------
    kept
        Id of the motif that stays.
    merged
        Ids that now mean the same.
    reason
        Why, for the audit trail.
    **details
        Distances, counts and the like.

    Example
    -------
    >>> log_merge(kept=2, merged=[5], reason="centres closer than 0.1", distance=0.04)
    """
    ids = [_check_whole("merged", one) for one in merged]
    get_logger().info("merge", **{**details, "kept": _check_whole("kept", kept), "merged": ids, "reason": reason})


def log_smoothing(policy: str, n_changed: int, n_steps: int, **details: object) -> None:
    """Log a smoothing of labels, as event ``smoothing``.

    Parameters
    ----------
    policy
        E.g. ``"median_hysteresis"``.
    n_changed, n_steps
        Labels that changed, of how many.
    **details
        The policy's settings.

    Example
    -------
    >>> log_smoothing("median_hysteresis", n_changed=31, n_steps=2400, min_dwell=5, window_size=7)
    """
    counts = {"n_changed": _check_whole("n_changed", n_changed), "n_steps": _check_whole("n_steps", n_steps)}
    get_logger().info("smoothing", **{**details, "policy": policy, **counts})


def log_qa_issue(check: str, message: str, *, subject: str | None = None, **details: object) -> None:
    """Log a fault found in the data, as event ``qa_issue`` at level warning.

    Parameters
    ----------
    check
        Which check found it, e.g. ``"gap"``.
    message
        What is wrong, for people.
    subject
        Whose recording.
    **details
        Where and how much.

    Example
    -------
    >>> log_qa_issue("gap", "0.8 s without samples", subject="rex", device="collar", start_s=12.5, seconds=0.8)
    """
    get_logger().warning("qa_issue", **{**details, "check": check, "message": message, **_given(subject=subject)})


def log_data_processing(step: str, n_in: int, n_out: int, **details: object) -> None:
    """Log one step of data processing, as event ``data_processing``.

    Parameters
    ----------
    step
        E.g. ``"resample"``.
    n_in, n_out
        Items before and after.
    **details
        What was repaired, dropped or chosen.

    Example
    -------
    >>> log_data_processing("windows", n_in=360_000, n_out=7_120, dropped_impure=80)
    """
    counts = {"n_in": _check_whole("n_in", n_in), "n_out": _check_whole("n_out", n_out)}
    get_logger().info("data_processing", **{**details, "step": step, **counts})


def log_epoch(epoch: int, n_epochs: int | None = None, **metrics: object) -> None:
    """Log the end of an epoch, as event ``epoch``.

    Parameters
    ----------
    epoch
        Which one.
    n_epochs
        Of how many.
    **metrics
        E.g. ``train_loss=0.31``.

    Example
    -------
    >>> log_epoch(3, 20, train_loss=0.31, val_macro_f1=0.88)
    """
    total = {} if n_epochs is None else {"n_epochs": _check_whole("n_epochs", n_epochs)}
    get_logger().info("epoch", **{**metrics, "epoch": _check_whole("epoch", epoch), **total})


def log_metrics(split: str, metrics: Mapping[str, object], **details: object) -> None:
    """Log final figures, as event ``metrics``.

    Parameters
    ----------
    split
        What they were computed on, e.g. ``"test"``.
    metrics
        Name to figure; intervals may be nested.
    **details
        E.g. ``n_subjects=17``.

    Example
    -------
    >>> log_metrics("test", {"accuracy": 0.91, "ece": 0.03}, n_subjects=17)
    """
    get_logger().info("metrics", **{**details, "split": split, "metrics": metrics})


def log_exception(error: BaseException, event: str = "exception", **details: object) -> None:
    """Log an exception with its traceback, as event ``exception`` at level error; it is not raised.

    Parameters
    ----------
    error
        The exception.
    event
        Another name for the event.
    **details
        What was being done.

    Example
    -------
    >>> log_exception(ValueError("no such label"), step="evaluate")
    """
    get_logger().error(event, **{**details, "exc_info": error})


def _given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _check_whole(argument: str, value: object) -> int:
    """Return a whole number, be it Python's or numpy's."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{argument} must be a whole number; got {value!r} ({type(value).__name__})")
    return int(cast(int, value))
