"""Runs side by side: what differs in their configuration, what came out, and whether one is worse than the baseline."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from conv2d.logging._encode import encode
from conv2d.logging._errors import UserError
from conv2d.logging._frames import FrameReader
from conv2d.logging._read import REFUSALS, decode_line
from conv2d.logging._record import Record
from conv2d.logging._search import lines_matching
from conv2d.logging._series import numbers
from conv2d.logging._sources import Block, Damages, read_blocks
from conv2d.logging._summary import Run, Summary

_LINES = lines_matching(re.compile(rb'"(?:config|seeds|fsq_config|epoch|metrics)"', re.MULTILINE))
_MOST_RUNS = 1000
_LOWER = frozenset(
    {"loss", "error", "errors", "err", "ece", "mce", "nll", "brier", "mae", "mse", "rmse", "perplexity", "entropy"}
    | {"wer", "cer", "fpr", "fnr", "eer", "regret", "distance", "divergence", "latency", "seconds", "duration", "time"}
    | {"ms", "bytes", "dropped", "rejected"}
)
_THRESHOLD = re.compile(r"(?:(?P<name>[^=]+)=)?(?P<amount>\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?P<percent>%)?")


@dataclass
class RunFacts:
    """What is known of a run."""

    counts: Run = field(default_factory=Run)
    config: dict[str, object] = field(default_factory=dict[str, object])
    final: dict[str, float] = field(default_factory=dict[str, float])
    best: dict[str, float] = field(default_factory=dict[str, float])

    def measured(self) -> dict[str, float]:
        """Return final metrics, and the duration and number of errors under ``seconds`` and ``errors``."""
        seconds = self.counts.seconds
        own = {"errors": float(self.counts.errors)} | ({} if seconds is None else {"seconds": seconds})
        return own | self.final


@dataclass(frozen=True)
class Directions:
    """Which way metrics get better, by what a user said of them, else by their names.

    Example
    -------
    >>> ways = Directions(lower=frozenset({"energy"}))
    >>> ways.lower_is_better("val_loss"), ways.lower_is_better("test.macro_f1"), ways.lower_is_better("test.energy")
    (True, False, True)
    """

    lower: frozenset[str] = frozenset()
    higher: frozenset[str] = frozenset()

    def lower_is_better(self, name: str) -> bool:
        """Whether a metric of this name is the better the lower it is."""
        for known in (name, name.rpartition(".")[2]):
            if known in self.lower or known in self.higher:
                return known in self.lower
        return not _LOWER.isdisjoint(re.split(r"[^a-z0-9]+", name.lower()))

    def check(self, runs: Mapping[str, RunFacts]) -> None:
        """Refuse names that are on both sides, or that no run has.

        Raises
        ------
        UserError
            If there is one.
        """
        metrics = {name for run in runs.values() for name in run.final}
        metrics |= {name.rpartition(".")[2] for name in metrics}
        for name in sorted(self.lower | self.higher):
            if name in self.lower and name in self.higher:
                raise UserError(f"--lower-is-better {name}: --higher-is-better says the opposite; give one of them")
            if name not in metrics:
                raise UserError(f"no run has a metric {name}; there are {', '.join(sorted(metrics)) or 'none'}")


@dataclass(frozen=True)
class Threshold:
    """How much worse a metric may be: `amount` of its unit, or of the baseline's value when `relative`."""

    name: str | None
    amount: float
    relative: bool

    def allows(self, baseline: float, value: float, lower_is_better: bool) -> bool:
        """Whether a metric that was `baseline` may be `value`."""
        if math.isnan(value):
            return math.isnan(baseline)
        worse = value - baseline if lower_is_better else baseline - value
        return not worse > self.amount * (abs(baseline) if self.relative else 1.0)


def parse_threshold(text: str) -> Threshold:
    """Return the threshold that a user stated, such as ``accuracy=0.01``, ``val_loss=2%`` or ``5%`` for all.

    Raises
    ------
    UserError
        If it is none.
    """
    found = _THRESHOLD.fullmatch(text.strip())
    if found is None:
        raise UserError(
            f"--threshold must be NAME=AMOUNT or AMOUNT, with AMOUNT as 0.01 (in the metric's unit) or 2% (of the "
            f"baseline); got {text!r}"
        )
    relative = found["percent"] is not None
    return Threshold(found["name"], float(found["amount"]) / (100 if relative else 1), relative)


def collect(sources: Iterable[str], damages: Damages, ways: Directions) -> dict[str, RunFacts]:
    """Return the runs found in files, the earliest first; a file without ``run_id`` is a run of its own."""
    runs: dict[str, RunFacts] = {}
    for source in sources:
        summary, reader = Summary(), FrameReader()
        for block in read_blocks(source, summary.damages):
            summary.add(reader.read(block, summary.damages))
            for record in _told(block):
                _take(_facts(runs, record.get("run_id"), source), record, ways)
        for name, run in summary.runs.items():
            counts = _facts(runs, None if name == "-" else name, source).counts
            counts.records += run.records
            counts.errors += run.errors
            counts.first = min(counts.first or run.first, run.first or counts.first)
            counts.last = max(counts.last, run.last)
        damages.merge(summary.damages)
    if len(runs) > _MOST_RUNS:
        raise UserError(f"{len(runs)} runs cannot stand side by side; give fewer files, at most {_MOST_RUNS} runs")
    return dict(sorted(runs.items(), key=lambda one: (one[1].counts.first, one[0])))


def rows(runs: Mapping[str, RunFacts], ways: Directions) -> Iterator[tuple[str, str, list[object]]]:
    """Yield section, name and each run's value; of the configuration only what differs."""
    all_runs = list(runs.values())
    yield "run", "started", [run.counts.first or None for run in all_runs]
    yield "run", "seconds", [run.counts.seconds for run in all_runs]
    yield "run", "records", [run.counts.records for run in all_runs]
    yield "run", "errors", [run.counts.errors for run in all_runs]
    for name in _names(run.config for run in all_runs):
        values = [run.config.get(name) for run in all_runs]
        if any(value != values[0] or type(value) is not type(values[0]) for value in values):
            yield "config", name, values
    for name in _names(run.final for run in all_runs):
        yield "final", name, [run.final.get(name) for run in all_runs]
    for name in _names(run.best for run in all_runs):
        best = "best (min)" if ways.lower_is_better(name) else "best (max)"
        yield best, name, [run.best.get(name) for run in all_runs]


def regressions(
    runs: Mapping[str, RunFacts], baseline: str, thresholds: Sequence[Threshold], ways: Directions
) -> Iterator[str]:
    """Yield a sentence for each metric of a run that is worse than the baseline's beyond its threshold.

    A threshold with a name holds for the metrics of that name, the one without for all other final metrics.
    """
    known = runs[baseline].measured()
    by_name = {one.name: one for one in thresholds}
    for name in by_name:
        if name is not None and name not in known:
            raise UserError(
                f"--threshold {name}: the baseline {baseline} has no such metric; it has {', '.join(known)}"
            )
    for run, facts in runs.items():
        found = facts.measured()
        for name, before in known.items():
            general = by_name.get(None) if name in runs[baseline].final else None
            threshold = by_name.get(name, general)
            if run == baseline or threshold is None:
                continue
            if name not in found:
                yield f"{run}: {name} is missing; the baseline {baseline} has {before:g}"
            elif not threshold.allows(before, found[name], ways.lower_is_better(name)):
                limit = f"{threshold.amount:.4%}" if threshold.relative else f"{threshold.amount:g}"
                yield f"{run}: {name} is {found[name]:g}, worse than {before:g} of {baseline} by more than {limit}"


def _told(block: Block) -> Iterator[Record]:
    """Yield the records that tell of a run; damaged lines are counted by another."""
    for _, text in _LINES(block.data):
        with suppress(*REFUSALS):
            yield decode_line(text)


def _facts(runs: dict[str, RunFacts], run_id: object, source: str) -> RunFacts:
    return runs.setdefault(str(run_id) if run_id else source, RunFacts())


def _take(run: RunFacts, record: Record, ways: Directions) -> None:
    event = record.get("event")
    if event == "config" and isinstance(record.get("config"), dict):
        run.config |= _flat(cast(dict[str, object], record["config"]))
    elif event == "seeds" and isinstance(record.get("seeds"), dict):
        run.config |= _flat(cast(dict[str, object], record["seeds"]), "seeds.")
    elif event == "fsq_config":
        names = ("levels", "embedding_dim", "codebook_size")
        run.config |= _flat({name: record[name] for name in names if name in record}, "fsq_config.")
    elif event == "metrics" and isinstance(record.get("metrics"), dict):
        split = f"{record['split']}." if "split" in record else ""
        run.final |= {split + name: float(value) for name, value in numbers(cast(dict[str, Any], record["metrics"]))}
    elif "epoch" in record:
        for name, value in numbers(record):
            if name not in ("epoch", "n_epochs", "step", "ts"):
                run.final[name] = float(value)
                better = min if ways.lower_is_better(name) else max
                if not math.isnan(value):
                    run.best[name] = better(run.best.get(name, float(value)), float(value))


def _flat(fields: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in fields.items():
        if isinstance(value, dict) and value:
            found |= _flat(cast(dict[str, object], value), f"{prefix}{name}.")
        else:
            found[prefix + name] = encode(cast(object, value)).decode() if isinstance(value, list | dict) else value
    return found


def _names(tables: Iterable[Mapping[str, object]]) -> list[str]:
    """Return the names in all tables, in the order of their first appearance."""
    return list(dict.fromkeys(name for table in tables for name in table))
