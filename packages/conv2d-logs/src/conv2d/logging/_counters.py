"""Counters and timers that are summed in the process, and logged as one event now and then, and at exit."""

import functools
import math
import operator
import threading
import time
from collections.abc import Callable, Mapping
from typing import ParamSpec, SupportsFloat, SupportsIndex, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")

FLUSH_S = 60.0


class _Times:
    """Durations of one timer since the last flush."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.least = math.inf
        self.most = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.total += seconds
        self.least = min(self.least, seconds)
        self.most = max(self.most, seconds)

    def as_dict(self) -> dict[str, object]:
        return {"count": self.count, "seconds": self.total, "min_s": self.least, "max_s": self.most}


class Timer:
    """A running timer: a ``with`` block, or a decorator; threads and recursions may share one.

    Example
    -------
    >>> from conv2d.logging import metrics
    >>> with metrics.timer("resample"):
    ...     pass
    """

    def __init__(self, metrics: "Metrics", name: str) -> None:
        self._metrics = metrics
        self._name = name
        self._local = threading.local()

    def __enter__(self) -> "Timer":
        self._starts().append(time.perf_counter())
        return self

    def __exit__(self, *_: object) -> None:
        # Also when the block raised: the time was spent.
        self._metrics.observe(self._name, time.perf_counter() - self._starts().pop())

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Time each call of a function."""

        @functools.wraps(function)
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._metrics.observe(self._name, time.perf_counter() - start)

        return timed

    def _starts(self) -> list[float]:
        found: list[float] = self._local.__dict__.setdefault("starts", [])
        return found


class Metrics:
    """Sum counts and durations; safe among threads, and after ``fork``, where a child begins at zero.

    What was summed is logged as event ``counters`` by `flush`, at a call once a minute has passed, by
    ``shutdown_logging``, and at exit. Each event holds what came since the one before, so that the sum over a run's
    events is the run's.

    Parameters
    ----------
    write
        Logs one event, given its fields.
    """

    def __init__(self, write: Callable[[Mapping[str, object]], None]) -> None:
        self._write = write
        self.reset()

    def reset(self) -> None:
        """Begin at zero, with a free lock, as a forked child must: what the parent counted, the parent logs."""
        self._lock = threading.RLock()
        self._counts: dict[str, int | float] = {}
        self._times: dict[str, _Times] = {}
        self._flush_at = time.monotonic() + FLUSH_S

    def incr(self, name: str, by: SupportsFloat | SupportsIndex = 1) -> None:
        """Add to a counter.

        Parameters
        ----------
        name
            The counter.
        by
            How much; a finite number.

        Raises
        ------
        TypeError
            If `by` is no number.
        ValueError
            If it is not finite.

        Example
        -------
        >>> from conv2d.logging import metrics
        >>> metrics.incr("rows_interpolated", 17)
        """
        amount = _number(by)
        if not math.isfinite(amount):
            raise ValueError(f"by must be finite, or the sum of {name} is lost; got {by!r}")
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + amount
        self._flush_if_due()

    def observe(self, name: str, seconds: float) -> None:
        """Add a duration to a timer.

        Parameters
        ----------
        name
            The timer.
        seconds
            The duration.

        Raises
        ------
        ValueError
            If it is negative or not finite.

        Example
        -------
        >>> from conv2d.logging import metrics
        >>> metrics.observe("gpu_forward", 0.0125)
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"seconds must be finite and not negative; got {seconds!r}")
        with self._lock:
            self._times.setdefault(name, _Times()).add(float(seconds))
        self._flush_if_due()

    def timer(self, name: str) -> Timer:
        """Return a timer, for ``with`` or as a decorator.

        Parameters
        ----------
        name
            The timer.

        Returns
        -------
        Timer
            Its blocks and calls are added up under `name`.

        Example
        -------
        >>> from conv2d.logging import metrics
        >>> with metrics.timer("read"):
        ...     metrics.incr("files_read")
        """
        return Timer(self, name)

    def flush(self) -> None:
        """Log what was summed since the last flush, as event ``counters``; nothing when there is nothing.

        Example
        -------
        >>> from conv2d.logging import metrics
        >>> metrics.flush()
        """
        with self._lock:
            counts, times = self._counts, self._times
            self._counts, self._times = {}, {}
            self._flush_at = time.monotonic() + FLUSH_S
        if counts or times:
            self._write({"counters": counts, "timers": {name: one.as_dict() for name, one in times.items()}})

    def before_fork(self) -> None:
        """Hold the lock, so that the child copies no half-made sum."""
        self._lock.acquire()

    def after_fork(self) -> None:
        """Let go of the lock, in the parent."""
        self._lock.release()

    def _flush_if_due(self) -> None:
        if time.monotonic() >= self._flush_at:
            self.flush()


def _number(value: object) -> int | float:
    """Return Python's own number, be it numpy's or torch's; a whole one stays whole, so that sums are exact."""
    if isinstance(value, bool) or not (hasattr(value, "__index__") or hasattr(value, "__float__")):
        raise TypeError(f"by must be a number; got {value!r} ({type(value).__name__})")
    try:
        return operator.index(cast(SupportsIndex, value))
    except TypeError:
        return float(cast(SupportsFloat, value))
