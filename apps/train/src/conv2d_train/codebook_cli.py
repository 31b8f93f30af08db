"""``conv2d codebook``: describe a codebook on recordings, and compare two descriptions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from conv2d_train._terminal import emit, show, tell
from conv2d_train.config import load_config

app = typer.Typer()

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
AnalysisArgument = Annotated[Path, typer.Argument(help="Folder or file of an analysis.", exists=True)]


@app.callback(invoke_without_command=True)
def codebook(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", help="The experiment; by default the checkpoint's.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            help="A trained run or its model.safetensors; without it, the training-free encoder.",
            exists=True,
        ),
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a key of --config: a.b=value.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Folder or file of recordings.", exists=True)] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path("codebook"),
    json: JsonOption = False,
) -> None:
    """Write codebook_analysis.json, codebook_visualization.png and selftest.txt for an experiment's windows."""
    if context.invoked_subcommand is not None:
        return
    if config is None and checkpoint is None:
        raise typer.BadParameter(
            "give --config FILE (training-free encoder) or --checkpoint RUN (a trained one), or both."
        )
    from conv2d_train.codebook_report import analyze_codebook, write_analysis, write_selftest
    from conv2d_train.runs import Run
    from conv2d_train.sources import load_windows

    run = None if checkpoint is None else Run.open(checkpoint)
    if run is not None and config is None:
        experiment = run.config
    else:
        assert config is not None  # narrowed by the rule above
        experiment = load_config(config, set_ or ())
    if run is not None and experiment.fsq != run.config.fsq:
        raise typer.BadParameter(
            f"--config has other fsq settings than the checkpoint was trained with ({run.config.fsq})."
        )
    windows = load_windows(experiment.data, data, run.label_names if run is not None else None)
    analysis = analyze_codebook(experiment, windows, run)
    written = write_analysis(analysis, out)
    selftest = write_selftest(out)
    if json:
        files = [str(path) for path in (*written, out / "selftest.txt")]
        emit(
            {
                "files": files,
                "usage": analysis.content["usage"],
                "dead_levels": analysis.content["dead_levels"]["count"],
            }
        )
        return
    usage, sweep = analysis.content["usage"], analysis.content["rate_distortion"]
    tell(
        f"{usage['active_codes']} of {analysis.content['n_codes']} codes used, perplexity {usage['perplexity']:.1f}, "
        f"{analysis.content['dead_levels']['count']} dead levels; "
        f"recommended levels by rate and distortion: {sweep['recommended']}"
    )
    tell(f"selftest: {selftest.splitlines()[0]}, {selftest.splitlines()[1]}\nwritten: {out}")


@app.command()
def compare(a: AnalysisArgument, b: AnalysisArgument, json: JsonOption = False) -> None:
    """Set two analyses side by side; code by code where both come from one encoder."""
    from conv2d_train.codebook_report import compare_analyses, read_analysis

    found = compare_analyses(read_analysis(a), read_analysis(b))
    if json:
        emit(found)
        return
    table = Table("", str(a), str(b))
    for name, values in found["figures"].items():
        table.add_row(name.replace("_", " "), *(f"{v:.3f}" if isinstance(v, float) else str(v) for v in values))
    show(table)
    tell(found["note"])
    if found["codes"] is not None:
        tell(f"divergence of usage: {found['codes']['usage_divergence_bits']:.3f} bits")
        for name, overlap in found["codes"]["signature_overlap"].items():
            tell(f"signature of {name}: {overlap:.0%} of its codes in common")
