r"""Experiments: YAML checked by frozen models, every mistake told with file, line and key.

Examples
--------
>>> from pathlib import Path
>>> import tempfile
>>> file = Path(tempfile.mkdtemp()) / "mine.yaml"
>>> _ = file.write_text("name: mine\ntraining: {epochs: 3}\n")
>>> load_config(file, ["training.epochs=5"]).training.epochs
5
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from conv2d_train._errors import ConfigError

Fraction = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what numpy's legacy generator, hence scikit-learn, takes
Names = tuple[Annotated[str, Field(min_length=1)], ...]
MAX_CODES = 2**31 - 1
Source = Literal["simulator", "table", "spsw", "dsads", "hapt"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class SimulatorConfig(_Section):
    """Size and seed of the simulated corpus."""

    subjects: Annotated[int, Field(ge=3)] = 12
    minutes: Annotated[float, Field(gt=0)] = 4.0
    seed: Seed = 0


class DataConfig(_Section):
    """Where recordings come from and how they become windows."""

    source: Source = "simulator"
    path: str | None = None
    sampling_rate: Annotated[float, Field(gt=0)] = 100.0
    window: Literal[100] = 100
    hop: Annotated[int, Field(ge=1)] = 50
    sensors: Annotated[Names, Field(min_length=1, max_length=2)] = ("collar", "harness")
    channels: Literal[9] = 9
    labels: Annotated[Names, Field(min_length=1)] | None = None
    min_purity: Annotated[float, Field(ge=0, le=1)] = 0.0
    max_gap_s: Annotated[float, Field(gt=0)] = 0.25
    normaliser: Literal["sensor", "channel"] = "sensor"
    simulator: SimulatorConfig = SimulatorConfig()

    @field_validator("sensors", "labels")
    @classmethod
    def _distinct(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and len(set(names)) < len(names):
            raise ValueError("each name must stand once")
        return names


class SplitConfig(_Section):
    """How subjects are divided; never windows.

    ``holdout`` trains once and keeps whole subjects for calibration and test. ``cross_validation`` scores every subject by a
    model that never saw it, then refits on all subjects, with the temperature found on the held-out scores.
    """

    kind: Literal["holdout", "cross_validation"] = "holdout"
    test: Fraction = 0.25
    calibration: Fraction = 0.2
    folds: Annotated[int, Field(ge=2)] = 5

    @model_validator(mode="after")
    def _some_train(self) -> SplitConfig:
        if self.kind == "holdout" and self.test + self.calibration >= 1:
            raise ValueError(
                f"test ({self.test:g}) and calibration ({self.calibration:g}) must sum to less than 1, or nobody is trained on"
            )
        return self


class FSQConfig(_Section):
    """The quantiser."""

    levels: Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=1)] = (8, 6, 5)
    embedding_dim: Annotated[int, Field(ge=1)] = 64

    @field_validator("levels")
    @classmethod
    def _codes_fit(cls, levels: tuple[int, ...]) -> tuple[int, ...]:
        if math.prod(levels) > MAX_CODES:
            raise ValueError(f"they make {math.prod(levels)} codes, but a code is an int32 and holds {MAX_CODES}")
        return levels


class ModelConfig(_Section):
    """The encoder."""

    width: Annotated[int, Field(ge=1)] = 24
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3


class ClusteringConfig(_Section):
    """Motifs over the codes' embeddings."""

    method: Literal["gmm", "kmeans"] = "gmm"
    min_clusters: Annotated[int, Field(ge=1)] = 3
    max_clusters: Annotated[int, Field(ge=1)] = 10

    @model_validator(mode="after")
    def _ordered(self) -> ClusteringConfig:
        if self.min_clusters > self.max_clusters:
            raise ValueError(f"min_clusters ({self.min_clusters}) must not exceed max_clusters ({self.max_clusters})")
        return self


class SmoothingConfig(_Section):
    """Smoothing of the predicted label sequence, in steps of one window."""

    method: Literal["median_hysteresis", "none"] = "median_hysteresis"
    min_dwell: Annotated[int, Field(ge=1)] = 5
    window_size: Annotated[int, Field(ge=1)] = 7

    @model_validator(mode="after")
    def _odd(self) -> SmoothingConfig:
        if self.window_size % 2 == 0:
            raise ValueError(f"window_size must be odd, so that a window has a centre, got {self.window_size}")
        return self


class AugmentConfig(_Section):
    """Training-time augmentation: what differs between two people who wear the same sensor."""

    heading_deg: Annotated[float, Field(ge=0, le=180)] = 180.0
    rotation_deg: Annotated[float, Field(ge=0, le=180)] = 20.0
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1
    jitter: Annotated[float, Field(ge=0)] = 0.03


class TrainingConfig(_Section):
    """Optimisation. ``threads`` belongs to the result: sums in another order are other weights."""

    epochs: Annotated[int, Field(ge=1)] = 15
    batch_size: Annotated[int, Field(ge=2)] = 128
    learning_rate: Annotated[float, Field(gt=0)] = 4.0e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1.0e-2
    threads: Annotated[int, Field(ge=1)] = 1
    augment: AugmentConfig = AugmentConfig()


class EvaluationConfig(_Section):
    """Intervals and the baselines that every figure stands beside."""

    confidence: Fraction = 0.95
    resamples: Annotated[int, Field(ge=100)] = 1000
    strong_baseline: Literal["random_forest", "none"] = "random_forest"


class GatesConfig(_Section):
    """Limits that a bundle must keep, or ``conv2d pack create`` refuses it; see ``conv2d.packaging.Gates``."""

    ece: Annotated[float, Field(ge=0)] = 0.05
    accuracy: Annotated[float, Field(ge=0)] = 0.80
    size_mb: Annotated[float, Field(ge=0)] = 10.0
    p99_ms: Annotated[float, Field(ge=0)] = 10.0


class Experiment(_Section):
    """One experiment, as in ``conf/exp/*.yaml``."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    seed: Seed = 42
    data: DataConfig = DataConfig()
    split: SplitConfig = SplitConfig()
    fsq: FSQConfig = FSQConfig()
    model: ModelConfig = ModelConfig()
    clustering: ClusteringConfig = ClusteringConfig()
    smoothing: SmoothingConfig = SmoothingConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    gates: GatesConfig = GatesConfig()

    @model_validator(mode="after")
    def _source_has_a_rate(self) -> Experiment:
        fixed = {"dsads": 25.0, "hapt": 50.0}.get(self.data.source)
        if fixed is not None and self.data.sampling_rate > fixed:
            raise ValueError(
                f"data.sampling_rate {self.data.sampling_rate:g} Hz is above what {self.data.source} was recorded at ({fixed:g} Hz)"
            )
        return self

    def digest(self) -> str:
        """Return a SHA-256 of everything that the weights and figures depend on: not the place of the data, nor the gates."""
        content = self.model_dump(mode="json")
        content["data"].pop("path")
        content.pop("gates")
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load_config(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment.

    Parameters
    ----------
    path : Path
        A YAML file (YAML 1.1: write ``1.0e-3``, as ``1e-3`` is text there).
    overrides : sequence of str
        ``a.b=value`` assignments on top of the file; values are read as YAML.

    Returns
    -------
    Experiment
        Frozen and complete.

    Raises
    ------
    ConfigError
        Unreadable file, bad YAML, unknown or doubled key, wrong type, impossible value: one line for each, with its place.
    """
    try:
        node = _compose(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}). Give --config an experiment, such as conf/exp/quickstart.yaml."
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text, so it is no experiment file.") from None
    except yaml.YAMLError as error:
        raise _not_yaml(path, error) from None
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(
            f"{path}: must be a mapping of sections (name, data, split, training, …), found something else."
        )
    lines: dict[tuple[str, ...], int] = {}
    _check_keys(path, node, (), lines)
    try:
        content = _construct(node)
    except yaml.YAMLError as error:
        raise _not_yaml(path, error) from None
    sources = {key: f"{path}:{line}" for key, line in lines.items()}
    for override in overrides:
        key = _override(content, override)
        sources[key] = f"--set {override}"
    return _validated(content, path, sources)


def load_resolved(text: str, path: Path) -> Experiment:
    """Read a stored, complete experiment (JSON is YAML)."""
    return _validated(json.loads(text), path, {})


def _not_yaml(path: Path, error: yaml.YAMLError) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    line = f":{mark.line + 1}" if mark else ""
    return ConfigError(
        f"{path}{line}: is not YAML that holds plain values ({getattr(error, 'problem', None) or error})."
    )


def _compose(text: str) -> yaml.Node | None:
    return cast("yaml.Node | None", cast("Any", yaml).compose(text, Loader=yaml.SafeLoader))


def _construct(node: yaml.Node) -> dict[str, Any]:
    return cast("dict[str, Any]", cast("Any", yaml.SafeLoader("")).construct_document(node))


def _check_keys(path: Path, node: yaml.MappingNode, prefix: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> None:
    for key_node, value in _pairs(node):
        name = str(key_node.value)
        key = (*prefix, name)
        if key in lines:
            raise ConfigError(
                f"{path}:{key_node.start_mark.line + 1}: key '{'.'.join(key)}' stands twice (first on line {lines[key]}); keep one."
            )
        lines[key] = key_node.start_mark.line + 1
        if isinstance(value, yaml.MappingNode):
            _check_keys(path, value, key, lines)


def _pairs(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    yield from cast("list[tuple[yaml.Node, yaml.Node]]", node.value)


def _override(content: dict[str, Any], override: str) -> tuple[str, ...]:
    name, equals, text = override.partition("=")
    key = tuple(name.strip().split("."))
    if not equals or not all(key):
        raise ConfigError(f"--set {override!r} is not of the form a.b=value, such as --set training.epochs=3.")
    section = content
    for part in key[:-1]:
        below: Any = section.setdefault(part, {})
        if not isinstance(below, dict):
            raise ConfigError(f"--set {override!r}: '{part}' is a value, not a section.")
        section = cast("dict[str, Any]", below)
    try:
        section[key[-1]] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override!r}: the value is not YAML ({error}).") from None
    return key


def _validated(content: dict[str, Any], path: Path, sources: dict[tuple[str, ...], str]) -> Experiment:
    try:
        # Through JSON: strict scalars, yet a YAML list may fill a tuple.
        return Experiment.model_validate_json(json.dumps(content, default=_not_json))
    except ValidationError as error:
        raise ConfigError("\n".join(_told(details, path, sources) for details in error.errors())) from None


def _not_json(value: Hashable) -> object:
    raise ConfigError(f"the value {value!r} is a {type(value).__name__}; write it as text in quotes, or as a number.")


def _told(details: Any, path: Path, sources: dict[tuple[str, ...], str]) -> str:
    key = tuple(str(part) for part in details["loc"])
    name = ".".join(key) or "experiment"
    where = next((sources[key[:n]] for n in range(len(key), 0, -1) if key[:n] in sources), str(path))
    given, kind = details["input"], str(details["type"])
    message = str(details["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        section = Experiment.model_fields if len(key) == 1 else _fields_of(key[:-1])
        return f"{where}: unknown key '{name}'. Known here: {', '.join(sorted(section))}."
    if kind == "missing":
        return f"{where}: key '{name}' is missing; every experiment needs it."
    if isinstance(given, str) and kind in {"float_type", "int_type"}:
        hint = ""
        with contextlib.suppress(ValueError):
            hint = f" Write {float(given)!r} (YAML 1.1 reads an exponent only after a decimal point: 1.0e-3)."
        return f"{where}: '{name}' must be a number, but {given!r} is text.{hint}"
    return f"{where}: '{name}' = {given!r}: {message[0].lower()}{message[1:]}." if key else f"{where}: {message}."


def _fields_of(key: tuple[str, ...]) -> dict[str, Any]:
    model: type[BaseModel] = Experiment
    for part in key:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return {}
        model = annotation
    return dict(model.model_fields)
