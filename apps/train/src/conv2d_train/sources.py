"""From an experiment's ``data`` section to recordings and windows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from conv2d.data import DataError, Recording, Windows, make_windows, read_recordings, resample, simulate
from conv2d_train.config import DataConfig


def load_recordings(
    config: DataConfig, path: Path | None = None, label_names: Sequence[str] | None = None
) -> list[Recording]:
    """Read or simulate the recordings of an experiment.

    Parameters
    ----------
    config : DataConfig
        The ``data`` section.
    path : Path, optional
        A folder or file of recordings, instead of the config's; given, it also replaces the simulator.
    label_names : sequence of str, optional
        The only labels allowed, in their order; by default the config's, else the reader's own.

    Returns
    -------
    list of Recording
        At the experiment's sampling rate, with one common vocabulary of labels.

    Raises
    ------
    DataError
        No data given, or recordings that break the contract.
    """
    names = label_names or config.labels
    where = path or (Path(config.path) if config.path else None)
    if config.source == "simulator" and where is None:
        if config.sensors != ("collar", "harness"):
            raise DataError(
                f"data.sensors is {', '.join(config.sensors)}, but the simulator makes collar, harness: pass --data DIR with "
                "recordings of your sensors, or leave data.sensors out."
            )
        recordings = simulate(
            n_subjects=config.simulator.subjects,
            minutes=config.simulator.minutes,
            seed=config.simulator.seed,
            rate_hz=config.sampling_rate,
        )
        if names is not None:
            recordings = [recording.with_label_names(names) for recording in recordings]
    elif where is None:
        raise DataError(
            f"the experiment reads {config.source!r} recordings, but no folder was given: pass --data DIR, or set data.path."
        )
    else:
        reader = "table" if config.source == "simulator" else config.source
        options: dict[str, object] = {"max_gap_s": config.max_gap_s}
        if reader in {"table", "dsads"}:
            options["devices"] = config.sensors  # their order is that of the model's input
        recordings = read_recordings(where, reader, label_names=names, **options)
    if not recordings:
        raise DataError(f"no recordings were found in {where}.")
    return [
        recording if recording.rate_hz == config.sampling_rate else resample(recording, config.sampling_rate)
        for recording in _one_vocabulary(recordings)
    ]


def _one_vocabulary(recordings: list[Recording]) -> list[Recording]:
    names = sorted({name for recording in recordings for name in recording.label_names})
    if all(recording.label_names == recordings[0].label_names for recording in recordings):
        return recordings
    return [recording.with_label_names(tuple(names)) for recording in recordings]


def load_windows(config: DataConfig, path: Path | None = None, label_names: Sequence[str] | None = None) -> Windows:
    """Read or simulate recordings and cut them into windows; arguments as :func:`load_recordings`."""
    windows = make_windows(load_recordings(config, path, label_names), hop=config.hop, min_purity=config.min_purity)
    if not len(windows):
        raise DataError(
            f"no window of {config.window} steps is left of these recordings (dropped: {windows.dropped}); "
            "they are too short, unlabelled, or full of gaps."
        )
    return windows
