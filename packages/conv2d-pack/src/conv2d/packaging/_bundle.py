"""An opened bundle: every byte checked before it is used."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from conv2d.packaging._files import MANIFEST, read_file, sha256
from conv2d.packaging._findings import BundleError, paragraph
from conv2d.packaging._gates import remarks
from conv2d.packaging._inspect import inspect_folder, read_samples
from conv2d.packaging._model import OnnxModel
from conv2d.packaging._samples import Samples


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files all carry the hash that its manifest gives; make one with `Bundle.open`.

    Attributes
    ----------
    path : Path
        The folder, absolute.
    id : str
        SHA-256 of the canonical manifest, 64 hexadecimal digits; the folder's name.
    manifest : mapping
        The manifest as read.
    labels : tuple of str
        The names of the logits, in their order.
    config, preprocessing, calibration, metrics : mapping
        The contents of the files of these names.

    Examples
    --------
    >>> Bundle.open("nowhere")
    Traceback (most recent call last):
    ...
    conv2d.packaging._findings.BundleError: bundle nowhere: .: does not exist; fix: ...
    """

    path: Path
    id: str
    manifest: Mapping[str, Any]
    labels: tuple[str, ...]
    config: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    calibration: Mapping[str, Any]
    metrics: Mapping[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a folder and check every file in it; the model is not run (`verify_bundle` does that).

        Parameters
        ----------
        path : str or Path
            The bundle's folder, named by its id.

        Returns
        -------
        Bundle
            The opened bundle.

        Raises
        ------
        BundleError
            When a file is missing, changed or too many, is a link, or does not hold what its name says; the text
            names the file and the fix.
        """
        state = inspect_folder(Path(path))
        if state.findings:
            raise BundleError(paragraph(path, state.findings))
        parsed = state.parsed
        return cls(
            path=state.path,
            id=state.id,
            manifest=state.manifest,
            labels=parsed["label_map.json"],
            config=parsed["config.yaml"],
            preprocessing=parsed["preprocessing.json"],
            calibration=parsed["calibration.json"],
            metrics=parsed["metrics.json"],
        )

    @property
    def version(self) -> str:
        """The version that the bundle was given.

        Returns
        -------
        str
            As in the file VERSION.
        """
        return str(self.manifest["version"])

    @property
    def remarks(self) -> tuple[str, ...]:
        """What whoever uses the bundle should know.

        Returns
        -------
        tuple of str
            Waived gates with their reasons, and a word where the figures are not of these very weights.
        """
        return remarks(self.manifest)

    def read(self, name: str) -> bytes:
        """Read one of the bundle's files; its hash is checked again, as it may have changed since `open`.

        Parameters
        ----------
        name : str
            A file that the manifest lists, for example "model.onnx".

        Returns
        -------
        bytes
            The file.

        Raises
        ------
        BundleError
            When the manifest has no such file, or the file is no longer what it says.
        """
        listed = self.manifest["files"].get(name)
        if listed is None:
            raise BundleError(f"bundle {self.path} has no file {name!r}; it has {', '.join(self.manifest['files'])}.")
        try:
            data = read_file(self.path, name)
        except OSError as error:
            raise BundleError(f"bundle {self.path}: {name} cannot be read any more ({error.strerror}).") from error
        if sha256(data) != listed["sha256"]:
            raise BundleError(
                f"bundle {self.path}: {name} was changed while in use; restore the bundle and open it again."
            )
        return data

    def samples(self) -> Samples:
        """Return the stored sample windows and the outputs that the model gave for them.

        Returns
        -------
        Samples
            The windows are normalised already.

        Raises
        ------
        BundleError
            When the stored arrays break their contract.
        """
        contents = {name: self.read(name) for name in self.manifest["files"] if name.startswith("samples/")}
        return read_samples(contents, dict(self.manifest))

    def session(self, threads: int = 1) -> OnnxModel:
        """Load the model into onnxruntime.

        Parameters
        ----------
        threads : int
            Threads within one operator; with 1 the results are the same bytes each time.

        Returns
        -------
        OnnxModel
            Its `run` takes normalised windows.

        Raises
        ------
        BundleError
            When the model cannot be loaded.
        """
        return OnnxModel(self.read("model.onnx"), threads)

    def manifest_bytes(self) -> bytes:
        """Return the canonical manifest as it lies on disk.

        Returns
        -------
        bytes
            `hashlib.sha256` of them is `id`.

        Raises
        ------
        BundleError
            When the manifest was changed since the bundle was opened.
        """
        data = read_file(self.path, MANIFEST)
        if sha256(data) != self.id:
            raise BundleError(f"bundle {self.path}: {MANIFEST} was changed while in use; restore the bundle.")
        return data
