"""The commands of `conv2d pack`: a typer group, mounted by the training app and usable alone without torch.

Run alone as ``python -m conv2d.packaging``. Results go to stdout (with ``--json`` one JSON value and nothing else),
messages to stderr. Exit codes: 0 ok, 1 verification or a gate failed, 2 no such bundle, 3 damaged bundle, 5 missing tool.
"""

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer

from conv2d.packaging._archive import MAX_BYTES, ArchiveFormat, archive_bundle, unpack_bundle
from conv2d.packaging._bundle import Bundle
from conv2d.packaging._clean import clean_bundles
from conv2d.packaging._diff import diff_bundles
from conv2d.packaging._files import SIGNATURE
from conv2d.packaging._findings import BundleError, BundleNotFoundError, GateError, MissingToolError
from conv2d.packaging._store import find_bundle, list_bundles
from conv2d.packaging._verify import verify_bundle

app: typer.Typer = typer.Typer(
    help="Verify, list, compare and ship model bundles.", no_args_is_help=True, add_completion=False
)

Which = Annotated[str, typer.Argument(metavar="ID|PATH", help="The first digits of a bundle's id, or its folder.")]
Root = Annotated[Path, typer.Option("--root", help="The folder that holds bundles.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout.")]
_ROOT = Path("artifacts")


@contextmanager
def errors() -> Generator[None]:
    """Tell a user's mistake in one paragraph on stderr and end with the documented exit code."""
    try:
        yield
    except (BundleError, MissingToolError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(_exit_code(error)) from error


def _exit_code(error: Exception) -> int:
    if isinstance(error, MissingToolError | GateError):
        return error.exit_code
    return 2 if isinstance(error, BundleNotFoundError) else 3


@app.command()
def verify(
    which: Which,
    root: Root = _ROOT,
    target: Annotated[
        str | None, typer.Option("--target", help="Only this target, beside the files and the float model.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="The signer's public key (PEM): the bundle must carry that signature.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check every hash and run the stored sample windows again; exit 1 on any finding."""
    with errors():
        path = find_bundle(root, which)
        verdict = verify_bundle(path, target=target, key=key)
    if as_json:
        _print_json(verdict.to_dict())
    elif verdict.ok:
        typer.echo(f"ok {verdict.id}: every file is as listed, {verdict.samples} sample windows reproduced")
        for note in verdict.not_verified:
            typer.echo(f"not verified here: {note}")
    if not as_json:
        for remark in verdict.remarks:
            typer.echo(f"remark: {remark}")
    for finding in verdict.findings:
        typer.echo(f"finding: {finding}", err=True)
    if not verdict.ok:
        typer.echo(f"{path}: {len(verdict.findings)} finding(s); this bundle must not be used", err=True)
        raise typer.Exit(1)


@app.command("list")
def list_(
    root: Root = _ROOT,
    verbose: Annotated[bool, typer.Option("--verbose", help="Whole ids, and the gates and targets of each.")] = False,
    as_json: Json = False,
) -> None:
    """List the bundles in a folder, the oldest first; hashes are checked, models are not run."""
    rows: list[dict[str, Any]] = []
    with errors():
        for path in list_bundles(root):
            try:
                rows.append({"state": "sound", **_summary(Bundle.open(path))})
            except BundleError as error:
                rows.append({"state": "damaged", "id": path.name, "path": str(path), "problem": str(error)})
    if as_json:
        _print_json(rows)
        return
    if not rows:
        typer.echo(f"no bundles in {root}", err=True)
    for row in rows:
        name = row["id"] if verbose else row["id"][:12]
        if row["state"] == "damaged":
            typer.echo(f"{name}  damaged  {row['problem']}")
            continue
        typer.echo(
            f"{name}  sound  {row['name'] or '-'} {row['version']}  {row['bytes']} bytes  {len(row['labels'])} labels"
        )
        for remark in row["remarks"]:
            typer.echo(f"    remark: {remark}")
        if verbose:
            for gate, told in row["gates"].items():
                typer.echo(f"    gate {gate}: {told}")
            for target, told in row["targets"].items():
                typer.echo(f"    {target}: {told}")


@app.command()
def show(which: Which, root: Root = _ROOT, as_json: Json = False) -> None:
    """Show what a bundle holds: labels, metrics, targets and files."""
    with errors():
        bundle = Bundle.open(find_bundle(root, which))
    summary = _summary(bundle)
    if as_json:
        _print_json({**summary, "metrics": dict(bundle.metrics), "files": bundle.manifest["files"]})
        return
    for key in ("id", "path", "name", "version", "commit_sha", "signed"):
        typer.echo(f"{key:<10}  {summary[key]}")
    for remark in summary["remarks"]:
        typer.echo(f"remark      {remark}")
    typer.echo(f"labels      {', '.join(bundle.labels)}")
    for gate, told in summary["gates"].items():
        typer.echo(f"gate        {gate}: {told}")
    for target, told in summary["targets"].items():
        typer.echo(f"target      {target}: {told}")
    typer.echo("metrics")
    typer.echo(json.dumps(dict(bundle.metrics), indent=2, sort_keys=True, ensure_ascii=False))
    typer.echo("files")
    for name, entry in bundle.manifest["files"].items():
        typer.echo(f"  {entry['sha256'][:12]}  {entry['size']:>10}  {name}")


@app.command()
def clean(
    keep: Annotated[int, typer.Option("--keep", min=0, help="How many of the newest bundles stay.")],
    root: Root = _ROOT,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    as_json: Json = False,
) -> None:
    """Remove all but the newest sound bundles; what is damaged or was made by others is left alone."""
    with errors():
        done = clean_bundles(root, keep=keep, dry_run=dry_run)
    if as_json:
        kept, removed = ([str(path) for path in paths] for paths in (done.kept, done.removed))
        _print_json({"dry_run": dry_run, "kept": kept, "removed": removed, "left": list(done.left)})
        return
    for path in done.removed:
        typer.echo(f"{'would remove' if dry_run else 'removed'} {path}")
    typer.echo(f"{len(done.kept)} kept")
    with errors():
        for path in done.kept:
            _remark(Bundle.open(path))
    for problem in done.left:
        typer.echo(f"left alone: {problem}", err=True)


@app.command()
def archive(
    which: Which,
    root: Root = _ROOT,
    format_: Annotated[str, typer.Option("--format", help=", ".join(get_args(ArchiveFormat)))] = "zip",
    output: Annotated[Path | None, typer.Option(help="The file to write; ID.FORMAT here by default.")] = None,
) -> None:
    """Write a bundle as one file; the same bundle gives the same bytes."""
    with errors():
        if format_ not in get_args(ArchiveFormat):
            raise typer.BadParameter(f"{format_!r} is not one of {', '.join(get_args(ArchiveFormat))}")
        bundle = Bundle.open(find_bundle(root, which))
        target = output or Path(f"{bundle.id}.{'oci.tar' if format_ == 'oci' else format_}")
        typer.echo(archive_bundle(bundle, target, cast("ArchiveFormat", format_)))
        _remark(bundle)


@app.command()
def unpack(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file written by `archive`.")],
    root: Root = _ROOT,
    max_bytes: Annotated[int, typer.Option(min=1, help="Largest size unpacked.")] = MAX_BYTES,
) -> None:
    """Check an archive as a bundle and write it; nothing is written when anything is wrong with it."""
    with errors():
        if not file.is_file():
            raise BundleNotFoundError(f"no archive {str(file)!r}; give a file written by `conv2d pack archive`.")
        bundle = unpack_bundle(file, root, max_bytes=max_bytes)
        typer.echo(bundle.path)
        _remark(bundle)


@app.command()
def diff(before: Which, after: Which, root: Root = _ROOT, as_json: Json = False) -> None:
    """Show what changed from one bundle to another."""
    with errors():
        bundles = [Bundle.open(find_bundle(root, which)) for which in (before, after)]
        changes = diff_bundles(*bundles)
        for bundle in bundles:
            _remark(bundle)
    if as_json:
        _print_json([{"where": c.where, "before": c.before, "after": c.after} for c in changes])
        return
    for change in changes:
        typer.echo(str(change))


def _remark(bundle: Bundle) -> None:
    """Tell what must not be forgotten about a bundle, on stderr, where results do not stand."""
    for remark in bundle.remarks:
        typer.echo(f"remark: {bundle.id[:12]}: {remark}", err=True)


def _gate(entry: dict[str, Any]) -> str:
    value = f"{entry['value']:.4g}, " if entry.get("value") is not None else ""
    return f"{value}limit {entry['limit']:g}, " + (f"waived: {entry['waived']}" if "waived" in entry else "kept")


def _summary(bundle: Bundle) -> dict[str, Any]:
    return {
        "id": bundle.id,
        "path": str(bundle.path),
        "name": bundle.manifest["name"],
        "signed": (bundle.path / SIGNATURE).exists(),
        "remarks": list(bundle.remarks),
        "gates": {name: _gate(entry) for name, entry in bundle.manifest["gates"].items()},
        "version": bundle.version,
        "commit_sha": bundle.manifest["commit_sha"],
        "labels": list(bundle.labels),
        "bytes": sum(entry["size"] for entry in bundle.manifest["files"].values()),
        "targets": {name: _told(entry) for name, entry in bundle.manifest["targets"].items()},
    }


def _told(target: dict[str, Any]) -> str:
    if target["status"] == "built":
        return "built"
    return f"not built ({target['reason']}; next: {target['next']})"


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False))
