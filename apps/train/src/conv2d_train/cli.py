"""The ``conv2d`` command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from conv2d.packaging.cli import app as pack_app
from conv2d_train._errors import RunError
from conv2d_train._terminal import emit, figures_table, run_app, show, tell
from conv2d_train.codebook_cli import app as codebook_app
from conv2d_train.config import Experiment, load_config
from conv2d_train.data_cli import app as data_app

app = typer.Typer(
    name="conv2d",
    help="From two-device motion recordings to a verified model bundle.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data", help="List, describe, simulate and convert recordings.")
app.add_typer(codebook_app, name="codebook", help="Describe how a codebook is used, and compare two descriptions.")
app.add_typer(pack_app, name="pack", help="Build, verify and list bundles.")

CORES = os.cpu_count() or 1

ConfigOption = Annotated[Path, typer.Option("--config", help="The experiment, a YAML file.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Override a key: a.b=value. May be repeated.")]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder or file of recordings.", exists=True)]
RunsOption = Annotated[Path, typer.Option("--runs", help="Folder of runs.")]
RootOption = Annotated[Path, typer.Option("--root", help="Folder of bundles.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
JobsOption = Annotated[
    int, typer.Option("--jobs", min=1, help="Models trained at once. The weights do not depend on it.")
]


@app.command()
def train(
    config: ConfigOption,
    set_: SetOption = None,
    data: DataOption = None,
    runs: RunsOption = Path("runs"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    jobs: JobsOption = CORES,
    json: JsonOption = False,
) -> None:
    """Train the experiment's models and calibrate them on held-out subjects."""
    experiment = _experiment(config, set_, data)
    run = _train(experiment, runs, resume, jobs)
    if json:
        emit({"run": str(run.path), "weights_sha256": run.weights_sha256(), "label_names": list(run.label_names)})
    else:
        tell(f"run: {run.path}")


@app.command(name="eval")
def evaluate(
    config: Annotated[
        Path | None, typer.Option("--config", help="Score the run of this experiment on its own subjects.")
    ] = None,
    bundle: Annotated[str | None, typer.Option("--bundle", help="Score this bundle (id or path) on --data.")] = None,
    set_: SetOption = None,
    data: DataOption = None,
    reader: Annotated[
        Literal["table", "spsw", "dsads", "hapt"] | None,
        typer.Option("--reader", help="How --data is laid out; by default as in training."),
    ] = None,
    split: Annotated[
        Literal["test", "calibration", "train"], typer.Option("--split", help="Which subjects of the run.")
    ] = "test",
    save_predictions: Annotated[
        bool, typer.Option("--save-predictions", help="Also write predictions.parquet.")
    ] = False,
    runs: RunsOption = Path("runs"),
    root: RootOption = Path("artifacts"),
    json: JsonOption = False,
) -> None:
    """Score a run on its held-out subjects, or a bundle on recordings that it never saw."""
    if (config is None) == (bundle is None):
        raise typer.BadParameter(
            "give either --config (a run's held-out subjects) or --bundle with --data (new recordings)."
        )
    if bundle is not None:
        if data is None:
            raise typer.BadParameter("--bundle needs --data DIR, the recordings to score.")
        from conv2d_train.bundle_eval import evaluate_bundle

        metrics = evaluate_bundle(bundle, root, data, reader, Path("predictions.parquet") if save_predictions else None)
    else:
        assert config is not None  # narrowed by the rule above
        metrics = _evaluate(_experiment(config, set_, data), runs, split, save_predictions)
    if json:
        emit(metrics)
    else:
        show(figures_table(metrics))


@app.command()
def analyze(
    config: ConfigOption, set_: SetOption = None, runs: RunsOption = Path("runs"), json: JsonOption = False
) -> None:
    """Write the HTML report of an evaluated run."""
    report = _report(load_config(config, set_ or ()), runs)
    if json:
        emit({"report": str(report)})
    else:
        tell(f"report: {report}")


@app.command()
def run(
    config: ConfigOption,
    set_: SetOption = None,
    data: DataOption = None,
    runs: RunsOption = Path("runs"),
    root: RootOption = Path("artifacts"),
    jobs: JobsOption = CORES,
    json: JsonOption = False,
) -> None:
    """Do it all: train, eval, analyze, pack create, pack verify."""
    from conv2d.packaging import GateError, verify_bundle

    experiment = _experiment(config, set_, data)
    finished = _train(experiment, runs, False, jobs)
    metrics = _evaluate(experiment, runs, "test", True)
    report = _report(experiment, runs)
    refusal, made = None, None
    try:
        made = _pack(experiment, runs, root).path
    except GateError as error:  # the run stands and its figures are shown; only the bundle is refused
        refusal = error
    verified = made is not None and verify_bundle(made).ok
    if json:
        emit(
            {
                "run": str(finished.path),
                "metrics": metrics,
                "report": str(report),
                "bundle": None if made is None else str(made),
                "verified": verified,
            }
        )
    else:
        show(figures_table(metrics))
        tell(f"report: {report}")
        tell("bundle: refused" if made is None else f"bundle: {made}\nverify: {'ok' if verified else 'FAILED'}")
    if refusal is not None:
        raise refusal
    if not verified:
        raise typer.Exit(1)


@pack_app.command(name="create")
def pack_create(
    config: ConfigOption,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="The run's folder or its model.safetensors; by default runs/<name>.", exists=True),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The bundle's name; by default the experiment's.")] = None,
    targets: Annotated[
        str,
        typer.Option("--targets", help="What to build: onnx, onnx-int8, coreml, hailo or a plug-in's; with commas."),
    ] = "onnx",
    hef: Annotated[
        Path | None, typer.Option("--hef", help="For hailo: what its compiler made of this model.", exists=True)
    ] = None,
    sign: Annotated[Path | None, typer.Option("--sign", help="Sign with this private key (PEM).", exists=True)] = None,
    waive: Annotated[
        list[str] | None, typer.Option("--waive", help="Let this gate fail; on record. May be repeated.")
    ] = None,
    reason: Annotated[list[str] | None, typer.Option("--reason", help="Why, one for each --waive, in order.")] = None,
    set_: SetOption = None,
    data: DataOption = None,
    runs: RunsOption = Path("runs"),
    root: RootOption = Path("artifacts"),
    json: JsonOption = False,
) -> None:
    """Export an evaluated run and write its bundle; exit 1 when a quality gate fails without a waiver."""
    waived, reasons = waive or [], reason or []
    if len(waived) != len(reasons) or len(set(waived)) != len(waived):
        raise typer.BadParameter(
            f"{len(waived)} --waive and {len(reasons)} --reason: give each gate once, with its reason."
        )
    wanted: list[Any] = [target.strip() for target in targets.split(",") if target.strip()]
    if hef is not None:
        if "hailo" not in wanted:
            raise typer.BadParameter("--hef needs hailo among the --targets.")
        from conv2d.packaging import HailoTarget

        wanted = [HailoTarget(hef.read_bytes()) if target == "hailo" else target for target in wanted]
    made = _pack(
        _experiment(config, set_, data),
        runs,
        root,
        model,
        waivers=dict(zip(waived, reasons, strict=True)),
        targets=wanted,
        name=name,
        sign_key=sign,
    )
    if json:
        emit({"id": made.id, "path": str(made.path), "signed": sign is not None, "remarks": list(made.remarks)})
        return
    tell(f"bundle: {made.path}")
    for target, entry in made.manifest["targets"].items():
        if entry["status"] != "built" and target in targets.split(","):
            tell(f"{target}: not built, {entry['reason']}\n  next: {entry['next']}")
    for remark in made.remarks:
        tell(f"remark: {remark}")


def _experiment(config: Path, overrides: list[str] | None, data: Path | None) -> Experiment:
    experiment = load_config(config, overrides or ())
    if data is None:
        return experiment
    where = experiment.data.model_copy(update={"path": str(data.resolve())})
    return experiment.model_copy(update={"data": where})


def _train(experiment: Experiment, runs: Path, resume: bool, jobs: int) -> Any:
    from conv2d_train.pipeline import train_run

    return train_run(experiment, runs / experiment.name, resume=resume, jobs=jobs)


def _evaluate(
    experiment: Experiment, runs: Path, split: Literal["test", "calibration", "train"], save: bool
) -> dict[str, Any]:
    from conv2d_train.pipeline import evaluate_and_store

    return evaluate_and_store(_opened(experiment, runs), split, save)


def _report(experiment: Experiment, runs: Path) -> Path:
    from conv2d_train.report import write_report

    opened = _opened(experiment, runs)
    if not (opened.path / "eval" / "predictions.parquet").is_file():
        raise RunError(
            f"{opened.path}: has no saved predictions to draw. First: conv2d eval --config FILE --save-predictions."
        )
    return write_report(opened, opened.path / "report.html")


def _pack(experiment: Experiment, runs: Path, root: Path, model: Path | None = None, **options: Any) -> Any:
    from conv2d_train.packing import pack_run
    from conv2d_train.sources import load_windows

    opened = _opened(experiment, runs, model)
    return pack_run(opened, load_windows(opened.config.data), root, gates=experiment.gates, **options)


def _opened(experiment: Experiment, runs: Path, model: Path | None = None) -> Any:
    from conv2d_train.runs import Run

    opened = Run.open(model or runs / experiment.name)
    if opened.config.digest() != experiment.digest():
        raise RunError(
            f"{opened.path}: was trained with another configuration than the one given. Give the same --config and --set, "
            "or train again."
        )
    if experiment.data.path is None:
        return opened  # the run remembers where its data lie
    return Run(opened.path, experiment, opened.label_names)


def main() -> None:
    """Entry point."""
    run_app(app)
