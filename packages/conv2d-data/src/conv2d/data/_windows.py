"""The window contract: recordings cut into float32 (N, 9, 2, 100), each with its label and origin."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from conv2d.data._checks import as_indices, check_array, check_whole
from conv2d.data._errors import DataError
from conv2d.data._recording import CHANNELS, N_DEVICES, UNLABELLED, Recording

WINDOW_STEPS = 100
"""Steps in every window, whatever the rate."""


@dataclass(frozen=True)
class Dropped:
    """What `make_windows` left out, counted.

    Attributes
    ----------
    gap : int
        Windows that touch an invalid step.
    unlabelled : int
        Windows that are mostly unlabelled.
    impure : int
        Windows whose majority label holds less than `min_purity` of the steps.
    short : int
        Recordings shorter than one window.

    Examples
    --------
    >>> Dropped(gap=2).impure
    0
    """

    gap: int = 0
    unlabelled: int = 0
    impure: int = 0
    short: int = 0


@dataclass(frozen=True, eq=False)
class Windows:
    """N windows of 100 steps and where each of them comes from.

    Attributes
    ----------
    x : numpy.ndarray
        float32, C-contiguous, (N, 9, 2, 100): window, channel, device, step; the units of the recordings.
    y : numpy.ndarray
        int32 (N,): majority label, an index into `label_names`, −1 = unlabelled.
    purity : numpy.ndarray
        float32 (N,): share of the window's steps that carry its label.
    recording : numpy.ndarray
        int32 (N,): index into `recording_names` and `recording_subjects`.
    start : numpy.ndarray
        int64 (N,): first step of the window in its recording.
    recording_names, recording_subjects : tuple of str
        Names ("subject/session") and subjects of the recordings.
    label_names : tuple of str
        The vocabulary.
    rate_hz : float
        Steps a second.
    hop : int
        Steps from one window to the next in the same recording.
    devices : tuple of str
        Names of the two devices.
    channel_mask : numpy.ndarray
        bool (9, 2); False = the channel is absent and 0.
    dropped : Dropped
        What was left out when the windows were cut.

    Examples
    --------
    >>> from conv2d.data import make_windows, simulate
    >>> windows = make_windows(simulate(n_subjects=2, minutes=0.5), hop=50)
    >>> windows.x.shape[1:], windows.hop_s, len(windows.subjects)
    ((9, 2, 100), 0.5, 2)
    """

    x: NDArray[np.float32]
    y: NDArray[np.int32]
    purity: NDArray[np.float32]
    recording: NDArray[np.int32]
    start: NDArray[np.int64]
    recording_names: tuple[str, ...]
    recording_subjects: tuple[str, ...]
    label_names: tuple[str, ...]
    rate_hz: float
    hop: int
    devices: tuple[str, str]
    channel_mask: NDArray[np.bool_]
    dropped: Dropped = field(default_factory=Dropped)

    def __post_init__(self) -> None:
        """Refuse arrays that break the contract or do not belong together."""
        check_windows(self.x)
        n = len(self.x)
        for name, dtype in (("y", np.int32), ("purity", np.float32), ("recording", np.int32), ("start", np.int64)):
            check_array(getattr(self, name), name, (n,), dtype, "windows")
        check_array(self.channel_mask, "channel_mask", (len(CHANNELS), N_DEVICES), np.bool_, "windows")
        n_recordings = len(self.recording_names)
        if len(self.recording_subjects) != n_recordings:
            raise DataError(
                f"windows: recording_names and recording_subjects must be of one length, got {n_recordings} and "
                f"{len(self.recording_subjects)}."
            )
        if n and not (self.recording.min() >= 0 and self.recording.max() < n_recordings):
            raise DataError(f"windows: recording must index the {n_recordings} recording_names.")
        if n and not (self.y.min() >= UNLABELLED and self.y.max() < len(self.label_names)):
            raise DataError(f"windows: y must lie in −1 … {len(self.label_names) - 1}, an index into label_names.")

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.x)

    @property
    def subject(self) -> NDArray[np.str_]:
        """Subject of every window, (N,)."""
        return np.asarray(self.recording_subjects, dtype=np.str_)[self.recording]

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects that have a window, sorted."""
        return tuple(sorted({self.recording_subjects[i] for i in map(int, np.unique(self.recording))}))

    @property
    def hop_s(self) -> float:
        """Seconds from one window to the next: `hop / rate_hz`."""
        return self.hop / self.rate_hz

    def select(self, index: ArrayLike) -> "Windows":
        """Return the windows at `index`, in its order.

        Parameters
        ----------
        index : array_like
            Integer indices, or a bool mask of length N.

        Returns
        -------
        Windows
            A copy; the recordings keep their indices.

        Raises
        ------
        DataError
            If a mask has another length, or an index is out of range or not an integer.

        Examples
        --------
        >>> from conv2d.data import make_windows, simulate
        >>> windows = make_windows(simulate(n_subjects=1, minutes=0.5), hop=100)
        >>> len(windows.select([0, 2])), len(windows.select(windows.purity > 2))
        (2, 0)
        """
        rows = as_indices(index, len(self), "index")
        return replace(
            self,
            x=self.x[rows],
            y=self.y[rows],
            purity=self.purity[rows],
            recording=self.recording[rows],
            start=self.start[rows],
        )

    def of_subjects(self, names: Sequence[str]) -> "Windows":
        """Return the windows of some subjects, in the present order.

        Parameters
        ----------
        names : sequence of str
            Subjects.

        Returns
        -------
        Windows
            A copy.

        Raises
        ------
        DataError
            If one of them has no window here.

        Examples
        --------
        >>> from conv2d.data import make_windows, simulate
        >>> windows = make_windows(simulate(n_subjects=3, minutes=0.5), hop=100)
        >>> windows.of_subjects(windows.subjects[:2]).subjects == windows.subjects[:2]
        True
        """
        if isinstance(names, str):
            raise DataError(f"subjects must be a sequence of names, got the single string {names!r}; pass [{names!r}].")
        unknown = sorted(set(names) - set(self.subjects))
        if unknown:
            raise DataError(
                f"no windows of subject {', '.join(map(repr, unknown))}; the subjects are {', '.join(self.subjects)}."
            )
        return self.select(np.isin(self.subject, list(names)))


def check_windows(x: Any) -> None:
    """Raise unless `x` is a batch of windows: float32, C-contiguous, finite, (B, 9, 2, 100).

    Parameters
    ----------
    x : numpy.ndarray
        The batch; B may be 0.

    Raises
    ------
    DataError
        If it is anything else. Nothing is cast or filled.

    Examples
    --------
    >>> import numpy as np
    >>> check_windows(np.zeros((4, 9, 2, 100), np.float32))
    >>> check_windows(np.zeros((4, 9, 2, 100)))
    Traceback (most recent call last):
        ...
    conv2d.data...DataError: windows: x must be float32 (4, 9, 2, 100), got float64 (4, 9, 2, 100)...
    """
    batch = np.shape(x)[0] if np.ndim(x) == 4 else 1
    check_array(x, "x", (batch, len(CHANNELS), N_DEVICES, WINDOW_STEPS), np.float32, "windows")
    windows = cast("NDArray[np.float32]", x)
    if not windows.flags.c_contiguous:
        raise DataError("windows: x must be C-contiguous; pass np.ascontiguousarray(x).")
    finite = np.isfinite(windows)
    if not finite.all():
        b, channel, device, step = map(int, np.argwhere(~finite)[0])
        raise DataError(
            f"windows: x must be finite, but window {b} holds {windows[b, channel, device, step]} in "
            f"{CHANNELS[channel]} of device {device} at step {step}; leave such windows out."
        )


def make_windows(
    recordings: Sequence[Recording], *, hop: int, min_purity: float = 0.0, keep_unlabelled: bool = False
) -> Windows:
    """Cut recordings into overlapping windows of 100 steps.

    A window's label is the one most of its steps carry, "unlabelled" (−1) among them; of equals the lowest code. The
    purity is that label's share. A window is left out, and counted, if it touches an invalid step, is mostly unlabelled
    or is less pure than asked; the first of these reasons counts.

    Parameters
    ----------
    recordings : sequence of Recording
        At least one, of one rate, one vocabulary, the same devices and channels, and all of different names.
    hop : int
        Steps from one window to the next.
    min_purity : float
        Smallest share of a window's steps that must carry its label, 0 … 1.
    keep_unlabelled : bool
        Keep windows that are mostly unlabelled, with label −1.

    Returns
    -------
    Windows
        In the order of the recordings, then of time.

    Raises
    ------
    DataError
        If the recordings do not agree, or an argument is out of range.

    Examples
    --------
    >>> from conv2d.data import simulate
    >>> windows = make_windows(simulate(n_subjects=2, minutes=0.5), hop=25, min_purity=0.6)
    >>> float(windows.purity.min()) >= 0.6
    True
    """
    hop = check_whole(hop, "make_windows: hop")
    if not 0.0 <= min_purity <= 1.0:
        raise DataError(f"make_windows: min_purity is a share of the window and lies in 0 … 1, got {min_purity!r}.")
    _check_agree(recordings)

    cuts = [_cut(recording, hop, min_purity, keep_unlabelled) for recording in recordings]
    counts = [len(cut.start) for cut in cuts]
    x = np.empty((sum(counts), len(CHANNELS), N_DEVICES, WINDOW_STEPS), dtype=np.float32)
    ends = np.cumsum(counts)
    for recording, cut, end in zip(recordings, cuts, ends, strict=True):
        if len(cut.start):
            view = sliding_window_view(recording.signal, WINDOW_STEPS, axis=-1)
            x[end - len(cut.start) : end] = view[:, :, cut.start].transpose(2, 0, 1, 3)
    first = recordings[0]
    return Windows(
        x=x,
        y=np.concatenate([cut.y for cut in cuts]),
        purity=np.concatenate([cut.purity for cut in cuts]),
        recording=np.repeat(np.arange(len(recordings), dtype=np.int32), counts),
        start=np.concatenate([cut.start for cut in cuts]),
        recording_names=tuple(recording.name for recording in recordings),
        recording_subjects=tuple(recording.subject for recording in recordings),
        label_names=first.label_names,
        rate_hz=first.rate_hz,
        hop=hop,
        devices=first.devices,
        channel_mask=first.channel_mask,
        dropped=Dropped(
            gap=sum(cut.dropped.gap for cut in cuts),
            unlabelled=sum(cut.dropped.unlabelled for cut in cuts),
            impure=sum(cut.dropped.impure for cut in cuts),
            short=sum(cut.dropped.short for cut in cuts),
        ),
    )


class _Cut(NamedTuple):
    """The windows of one recording that stay, and the count of those that do not."""

    start: NDArray[np.int64]
    y: NDArray[np.int32]
    purity: NDArray[np.float32]
    dropped: Dropped


def _cut(recording: Recording, hop: int, min_purity: float, keep_unlabelled: bool) -> _Cut:
    start = np.arange(0, recording.n_steps - WINDOW_STEPS + 1, hop, dtype=np.int64)
    # Column 0 counts unlabelled steps, column 1 + k those of label k; argmax takes the first of equals.
    counts = np.stack(
        [_count(recording.labels == code, start) for code in range(UNLABELLED, len(recording.label_names))], axis=1
    )
    y = (counts.argmax(axis=1) + UNLABELLED).astype(np.int32)
    purity = counts.max(axis=1) / WINDOW_STEPS

    gap = _count(~(recording.valid[0] & recording.valid[1]), start) > 0
    unlabelled = ~gap & (y == UNLABELLED) & (not keep_unlabelled)
    impure = ~gap & ~unlabelled & (purity < min_purity)
    keep = ~(gap | unlabelled | impure)
    dropped = Dropped(
        gap=int(gap.sum()), unlabelled=int(unlabelled.sum()), impure=int(impure.sum()), short=int(len(start) == 0)
    )
    return _Cut(start[keep], y[keep], purity[keep].astype(np.float32), dropped)


def _count(flags: NDArray[np.bool_], start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the true steps in the window at each start."""
    total = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(flags, dtype=np.int64)])
    return total[start + WINDOW_STEPS] - total[start]


def _check_agree(recordings: Sequence[Recording]) -> None:
    """Raise unless the recordings can share one `Windows`."""
    if not recordings:
        raise DataError("make_windows: recordings is empty; at least one recording is needed.")
    first, seen = recordings[0], set[str]()
    for recording in recordings:
        if recording.name in seen:
            raise DataError(
                f"make_windows: two recordings are named {recording.name}; give each a session of its own, since "
                f"windows are told apart by the recording's name."
            )
        seen.add(recording.name)
        pairs = (
            ("rate_hz", first.rate_hz, recording.rate_hz, "resample one of them"),
            ("devices", first.devices, recording.devices, "choose the devices when reading"),
            ("label_names", first.label_names, recording.label_names, "pass both through with_label_names"),
            ("mag_unit", first.mag_unit, recording.mag_unit, "convert one of them"),
            ("channels", _present(first), _present(recording), "window them apart or leave the channel out of both"),
        )
        for what, expected, got, fix in pairs:
            if expected != got:
                raise DataError(
                    f"make_windows: recordings must agree in {what}, but {first.name} has {expected} and "
                    f"{recording.name} has {got}; {fix}."
                )


def _present(recording: Recording) -> tuple[str, ...]:
    """Name the present channels, device by device."""
    return tuple(
        f"{name}_{channel}"
        for device, name in enumerate(recording.devices)
        for row, channel in enumerate(CHANNELS)
        if recording.channel_mask[row, device]
    )
