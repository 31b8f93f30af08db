"""Procedural grammar: what may follow what, how strictly, and where it overrules the evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conv2d.temporal._check import Labels, check_at_least, check_labels
from conv2d.temporal._context import ContextModel
from conv2d.temporal._fit import log_normalised
from conv2d.temporal._hsmm import HSMM
from conv2d.temporal._rules import Context, longest, place_of, read_rules, read_yaml
from conv2d.temporal._runs import find_runs

Float = NDArray[np.float64]

# A forbidden operation weighs this at a strictness just below 1, and nothing at 1.
_FORBIDDEN = 1e-6


@dataclass(frozen=True, slots=True)
class Overruled:
    """Steps ``start <= t < stop`` that are labelled `without` the grammar, and `label` with it."""

    start: int
    stop: int
    without: int
    label: int


@dataclass(frozen=True, slots=True, eq=False)
class GrammarDecoding:
    """The most probable operations under a grammar, and how often it overruled the evidence.

    Attributes
    ----------
    path : int32, shape (T,)
        Operation of each step.
    score : float
        Log joint probability of the segmentation and the data.
    overruled : tuple of Overruled
        Where the same model without the grammar says otherwise.
    overruled_share : float
        Share of steps where it does.
    forbidden, discouraged : int
        Changes of operation without the grammar that it forbids, or discourages.
    """

    path: Labels
    score: float
    overruled: tuple[Overruled, ...]
    overruled_share: float
    forbidden: int
    discouraged: int


@dataclass(frozen=True, eq=False)
class Grammar:
    """Weights of the operation that follows, given the operations before it.

    Made by `from_dict`, `from_yaml` or `learn`. A weight of 1 lets an operation follow freely, one between 0 and 1
    discourages it, and 0 forbids it; the model's own transition probabilities are multiplied by them. What is known of
    a longer context takes the place of what is known of its end.

    Parameters
    ----------
    operations : tuple of str
        Names of the K operations; their places are the labels.
    start : float64, shape (K,)
        Weights of the first operation.
    weights : mapping of tuple of int to float64 (K,)
        Weights of the next operation after each context, the current operation last.

    Examples
    --------
    >>> grammar = Grammar.from_dict({
    ...     "operations": ["pick", "place", "seal"],
    ...     "start": ["pick"],
    ...     "allowed": {"pick": ["place"], "place": ["pick", "seal"], "pick > place": ["seal"]},
    ...     "discouraged": {"seal": {"place": 0.1}},
    ... })
    >>> grammar.after(["place"]).tolist(), grammar.after(["pick", "place"]).tolist(), grammar.after(["seal"]).tolist()
    ([1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 0.1, 1.0])
    """

    operations: tuple[str, ...]
    start: Float
    weights: Mapping[Context, Float]

    @property
    def context(self) -> int:
        """Most operations that the next one depends on."""
        return max((len(context) for context in self.weights), default=1)

    @classmethod
    def from_dict(cls, rules: Mapping[str, object]) -> Self:
        """Return the grammar of written rules.

        Parameters
        ----------
        rules : mapping
            ``operations``, a list of names; and where wanted ``start``, a list of first operations; ``allowed``, what
            may follow an operation or a context (``"pick > place"``), everything else being forbidden after it;
            ``discouraged``, weights between 0 and 1 of what may follow, but seldom does.

        Returns
        -------
        Grammar
            What is not ruled on is allowed.

        Raises
        ------
        ValueError
            If a key or an operation is unknown, or a weight is not between 0 and 1; the rule is named.
        """
        return cls(*read_rules(rules))

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Return the grammar of a YAML file; needs the extra ``conv2d-temporal[yaml]``.

        Parameters
        ----------
        path : str or Path
            A file with the keys of `from_dict`.

        Returns
        -------
        Grammar
            As of `from_dict`.

        Raises
        ------
        ImportError
            If PyYAML is not installed.
        ValueError
            If the file is not YAML, or breaks a rule of `from_dict`.
        """
        rules = read_yaml(path)
        try:
            return cls.from_dict(rules)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    @classmethod
    def learn(cls, labels: ArrayLike, operations: Sequence[str], context: int = 1, smoothing: float = 1.0) -> Self:
        """Return the grammar of annotated sequences: weights are the probabilities of what followed.

        Parameters
        ----------
        labels : int32, shape (T,) or (B, T)
            Operation of each step; -1 cuts a sequence.
        operations : sequence of str
            Names of the K operations.
        context : int
            Operations that the next one may depend on.
        smoothing : float
            Pseudo-count: so much weighs what is known of a shorter context, and last of all that any other operation is
            as likely. With 0, what was never seen is forbidden.

        Returns
        -------
        Grammar
            For contexts that were seen, and for every single operation.

        Examples
        --------
        >>> grammar = Grammar.learn([0, 0, 1, 2, 2, 0, 1, 1], ["pick", "place", "seal"], smoothing=0.0)
        >>> grammar.after(["pick"]).tolist()
        [0.0, 1.0, 0.0]
        """
        names = tuple(operations)
        checked = check_labels(labels)
        check_at_least("context", context, 1)
        if not (np.isfinite(smoothing) and smoothing >= 0):
            raise ValueError(f"smoothing must be a finite count of at least 0, got {smoothing!r}.")
        if checked.max(initial=-1) >= len(names):
            raise ValueError(f"labels must be below the number of operations, {len(names)}; got {checked.max()}.")
        size = len(names)
        counts: dict[Context, Float] = {(k,): np.zeros(size) for k in range(size)}
        first = np.zeros(size)
        for piece in _sequences(checked):
            first[piece[0]] += 1
            for at in range(1, len(piece)):
                for length in range(1, min(context, at) + 1):
                    counts.setdefault(tuple(piece[at - length : at]), np.zeros(size))[piece[at]] += 1
        weights: dict[Context, Float] = {}
        for known in sorted(counts, key=len):
            shorter = (
                weights[known[1:]] if len(known) > 1 else (np.arange(size) != known[len(known) - 1]) / max(size - 1, 1)
            )
            weight, total = counts[known] + smoothing * shorter, counts[known].sum() + smoothing
            weights[known] = weight / total if total > 0 else shorter
        return cls(names, (first + smoothing / size) / (first.sum() + smoothing or 1.0), weights)

    def after(self, before: Sequence[str]) -> Float:
        """Return the weights of the next operation.

        Parameters
        ----------
        before : sequence of str
            The operations so far, the current one last; the longest context known of them counts.

        Returns
        -------
        float64, shape (K,)
            Weights.
        """
        index = {name: i for i, name in enumerate(self.operations)}
        return longest(self.weights, tuple(place_of(name, index, "before") for name in before), len(self.operations))

    def apply(self, model: HSMM, strictness: float = 1.0) -> ContextModel:
        """Return the model with the grammar as a prior on its transitions.

        Parameters
        ----------
        model : HSMM
            One state per operation.
        strictness : float
            From 0, the model alone, to 1, where nothing forbidden is possible; weights w count as ``w ** strictness``,
            forbidden ones below 1 as if they were 1e-6.

        Returns
        -------
        ContextModel
            Its states are the contexts, so decoding is exact however far the grammar looks back.

        Raises
        ------
        ValueError
            If the model has another number of states, or `strictness` is not from 0 to 1.
        """
        size = len(self.operations)
        if model.n_states != size:
            raise ValueError(f"The grammar has {size} operations, but the model {model.n_states} states.")
        if not 0 <= strictness <= 1:
            raise ValueError(f"strictness must be from 0 to 1, got {strictness!r}.")
        # Single operations first and in order, then longer contexts as they are met.
        contexts: list[Context] = [(k,) for k in range(size)]
        place = {context: i for i, context in enumerate(contexts)}
        arcs: list[tuple[int, int, float]] = []
        for i, context in enumerate(contexts):
            weight = _dialled(longest(self.weights, context, size), strictness)
            chance = np.exp(model.log_transition[context[-1]]) * weight
            for k in np.flatnonzero(chance).tolist():
                following = (*context, k)[-self.context :]
                if following not in place:
                    place[following] = len(contexts)
                    contexts.append(following)
                arcs.append((i, place[following], float(chance[k])))
        transition = np.zeros((len(contexts), len(contexts)))
        for i, j, chance_of in arcs:
            transition[i, j] = chance_of
        initial = np.zeros(len(contexts))
        initial[:size] = np.exp(model.log_initial) * _dialled(self.start, strictness)
        if not initial.any():
            raise ValueError("The grammar forbids every operation that the model may start with.")
        operation = np.array([context[-1] for context in contexts], dtype=np.int32)
        return ContextModel.of(model, log_normalised(initial), log_normalised(transition), operation)

    def decode(self, model: HSMM, log_likelihood: ArrayLike, strictness: float = 1.0) -> GrammarDecoding:
        """Return the most probable operations under the model and the grammar, exactly.

        Parameters
        ----------
        model : HSMM
            One state per operation.
        log_likelihood : float64 or float32, shape (T, K)
            Log-likelihood of each step under each operation.
        strictness : float
            As for `apply`.

        Returns
        -------
        GrammarDecoding
            The path, and where the grammar overruled the evidence.

        Raises
        ------
        ImpossibleSequenceError
            If the grammar leaves no possible segmentation.
        ValueError
            If the input is not as described.

        Examples
        --------
        >>> from conv2d.temporal import HSMM, durations
        >>> grammar = Grammar.from_dict({"operations": ["a", "b", "c"], "allowed": {"a": ["b"], "b": ["c"], "c": ["a"]}})
        >>> with np.errstate(divide="ignore"):
        ...     model = HSMM(np.log(np.full(3, 1 / 3)), np.log((1 - np.eye(3)) / 2), [durations.Poisson(2.0)] * 3)
        >>> evidence = 2.0 * np.eye(3)[[0, 0, 0, 2, 2, 2]]
        >>> evidence[3, 1] = 1.5
        >>> found = grammar.decode(model, evidence)
        >>> found.path.tolist(), found.overruled, found.forbidden
        ([0, 0, 0, 1, 2, 2], (Overruled(start=3, stop=4, without=2, label=1),), 1)
        """
        table = np.asarray(log_likelihood)
        if table.ndim != 2:
            raise ValueError(
                f"log_likelihood must have shape (T, K), got {table.shape}: decode one sequence at a time."
            )
        free = model.viterbi(table).path
        applied = self.apply(model, strictness)
        best = applied.model.viterbi(applied.evidence(table))
        path = applied.operation[best.path]
        differs = np.where(path != free, path * len(self.operations) + free, -1).astype(np.int32)
        overruled = tuple(
            Overruled(start, stop, int(free[start]), int(path[start]))
            for start, stop, code in find_runs(differs).spans()
            if code >= 0
        )
        operations = _sequences(free)[0]
        met = [
            float(longest(self.weights, tuple(operations[:at]), len(self.operations))[operations[at]])
            for at in range(1, len(operations))
        ]
        return GrammarDecoding(
            path=path,
            score=float(best.score),
            overruled=overruled,
            overruled_share=float(np.count_nonzero(path != free)) / path.size,
            forbidden=sum(weight == 0 for weight in met),
            discouraged=sum(0 < weight < 1 for weight in met),
        )


def _dialled(weight: Float, strictness: float) -> Float:
    if strictness == 1:
        return weight
    return np.where(weight > 0, weight, _FORBIDDEN) ** strictness


def _sequences(labels: Labels) -> list[list[int]]:
    """Return the operations of each piece, in order."""
    runs = find_runs(labels)
    pieces: list[list[int]] = []
    for (_, _, label), follows in zip(runs.spans(), runs.follows.tolist(), strict=True):
        if label >= 0 and follows:
            pieces[-1].append(label)
        elif label >= 0:
            pieces.append([label])
    return pieces
