"""Windows of real recordings as the project encodes them, without a trained encoder."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HOPS = {"spsw": 25, "dsads": 50}  # steps between windows of 100: 0.25 s at 100 Hz, 2 s at 25 Hz


@dataclass(frozen=True)
class Encoding:
    embeddings: np.ndarray  # float64 (N, 64)
    codes: np.ndarray  # int32 (N, 64)
    behaviour: np.ndarray  # int (N,)
    subject: np.ndarray  # str (N,)


def encoding(name: str, cache: Path | None = None) -> Encoding:
    """Read the recordings under CONV2D_TEST_DATA and encode them, or read what was encoded before."""
    stored = cache / f"{name}.npz" if cache else None
    if stored is None or not stored.exists():
        from conv2d.data import make_windows, read_recordings
        from conv2d.features import encode_fsq

        folder = Path(os.environ.get("CONV2D_TEST_DATA", "../shared")) / "data" / name
        windows = make_windows(read_recordings(folder, name), hop=HOPS[name])
        result = encode_fsq(windows.x, [8, 6, 5], 64)
        made = {
            "embeddings": result.embeddings.astype(np.float64),
            "codes": result.codes,
            "behaviour": windows.y,
            "subject": np.array(windows.recording_subjects)[windows.recording],
        }
        if stored is None:
            return Encoding(**made)
        stored.parent.mkdir(parents=True, exist_ok=True)
        np.savez(stored, **made)
    with np.load(stored) as file:
        return Encoding(**{key: file[key] for key in file.files})
