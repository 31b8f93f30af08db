"""Every mistake in an experiment is told with file, line, key, rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from conv2d_train._errors import ConfigError
from conv2d_train.config import load_config

EXPERIMENTS = next(
    (p / "conf" / "exp" for p in Path(__file__).resolve().parents if (p / "conf" / "exp").is_dir()), None
)


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "exp.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: a\ntraining: {epochs: 3}\nspeed: 4\n", ["exp.yaml:3", "unknown key 'speed'", "training"]),
        ("name: a\ntraining:\n  epochs: 3\n  leraning_rate: 0.1\n", ["exp.yaml:4", "leraning_rate", "learning_rate"]),
        ("name: a\ntraining:\n  learning_rate: 1e-3\n", ["exp.yaml:3", "'1e-3' is text", "0.001", "1.0e-3"]),
        ("name: a\nseed: 1\nseed: 2\n", ["exp.yaml:3", "stands twice", "line 2"]),
        ("name: a\ntraining: {epochs: 0}\n", ["exp.yaml:2", "training.epochs", "greater than or equal to 1"]),
        ("name: a\ntraining: {epochs: 1.5}\n", ["training.epochs", "integer"]),
        ("name: a\nseed: true\n", ["exp.yaml:2", "seed", "integer"]),
        ("seed: 1\n", ["'name' is missing"]),
        ("name: a/b\n", ["exp.yaml:1", "name", "pattern"]),
        ("name: a\nfsq: {levels: [8, 1]}\n", ["exp.yaml:2", "fsq.levels.1"]),
        ("name: a\nclustering: {min_clusters: 9, max_clusters: 3}\n", ["exp.yaml:2", "must not exceed"]),
        ("name: a\nsmoothing: {window_size: 4}\n", ["exp.yaml:2", "must be odd"]),
        ("name: a\ndata: {source: dsads, sampling_rate: 100}\n", ["25 Hz"]),
        ("name: a\ndata: {window: 128}\n", ["exp.yaml:2", "data.window", "100"]),
        ("name: a\ntraining:\n  learning_rate: .inf\n", ["exp.yaml:3", "learning_rate", "finite"]),
        ("name: a\ngates: {ece: .nan}\n", ["exp.yaml:2", "gates.ece"]),
        ("name: a\nseed: 4294967296\n", ["exp.yaml:2", "seed", "less than 4294967296"]),
        ("name: a\nfsq: {levels: [300, 300, 300, 300]}\n", ["exp.yaml:2", "fsq.levels", "8100000000 codes"]),
        ("name: a\ndata: {sensors: [collar, collar]}\n", ["exp.yaml:2", "data.sensors", "once"]),
        ("name: a\nsplit: {test: 0.9}\n", ["exp.yaml:2", "sum to less than 1"]),
        ("name: a\ndata: {labels: []}\n", ["exp.yaml:2", "data.labels"]),
        ("name: a\ndata: 2020-01-01\n", ["date"]),
        ("name: [a\n", ["exp.yaml:", "is not YAML that holds plain values"]),
        ("- a\n", ["must be a mapping"]),
        ("name: a\ndata: {path: !!python/object:os.system x}\n", ["is not YAML that holds plain values"]),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, says: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(written(tmp_path, text))
    for part in says:
        assert part in str(error.value)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "absent.yaml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(tmp_path / "binary")


def test_overrides(tmp_path: Path) -> None:
    file = written(tmp_path, "name: a\n")
    config = load_config(file, ["training.epochs=4", "fsq.levels=[8, 8]", "data.simulator.minutes=2.5"])
    assert (config.training.epochs, config.fsq.levels, config.data.simulator.minutes) == (4, (8, 8), 2.5)
    for bad, says in [
        ("training.epochs", "a.b=value"),
        ("training.epoch=4", "--set training.epoch=4"),
        ("name.x=1", "not a section"),
    ]:
        with pytest.raises(ConfigError, match=says):
            load_config(file, [bad])


def test_the_digest_forgets_only_the_place_of_the_data(tmp_path: Path) -> None:
    file = written(tmp_path, "name: a\n")
    base = load_config(file)
    assert load_config(file, ["data.path=/elsewhere"]).digest() == base.digest()
    assert load_config(file, ["seed=7"]).digest() != base.digest()


@pytest.mark.skipif(
    EXPERIMENTS is None, reason="conf/exp is not here: the wheel is tested alone, NOT TESTED: the shipped experiments"
)
@pytest.mark.parametrize("name", ["quickstart", "dogs", "spsw", "dsads", "hapt"])
def test_shipped_experiments(name: str) -> None:
    assert EXPERIMENTS is not None
    config = load_config(EXPERIMENTS / f"{name}.yaml")
    assert config.name == name
    if name == "dogs":
        assert config.fsq.levels == (8, 6, 5)
        assert config.fsq.embedding_dim == 64
        assert (config.clustering.method, config.clustering.min_clusters, config.clustering.max_clusters) == (
            "gmm",
            3,
            10,
        )
        assert (config.smoothing.method, config.smoothing.min_dwell, config.smoothing.window_size) == (
            "median_hysteresis",
            5,
            7,
        )
        assert (config.data.sampling_rate, config.data.window, len(config.data.sensors), config.data.channels) == (
            100,
            100,
            2,
            9,
        )


def test_the_gates_are_those_of_the_packaging_wheel_and_need_no_new_training() -> None:
    from conv2d.packaging import Gates
    from conv2d_train.config import Experiment, GatesConfig

    assert Gates(**GatesConfig().model_dump()) == Gates()
    strict = Experiment(name="x", gates=GatesConfig(ece=0.01))
    assert strict.digest() == Experiment(name="x").digest()
