"""The k most probable segmentations, by deviations from the best completion of every beginning."""

import heapq
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conv2d.temporal._inference import Sequence

Float = NDArray[np.float64]


class _Node(NamedTuple):
    """A place on the way: a segment of `state` begins at `time`, or (`ends`) has ended just before it."""

    ends: bool
    time: int
    state: int


class _Arcs(NamedTuple):
    """The ways on from a node, the best first: what each loses against the best, and where it leads."""

    loss: list[float]
    to: list[_Node]


# A way through the graph: the node and the rank of the arc taken there instead of the best; best arcs elsewhere.
_Deviations = tuple[tuple[int, int], ...]


def k_best(sequence: Sequence, k: int) -> tuple[NDArray[np.int32], Float]:
    """Return the paths (at most k, T) and their scores, the best first.

    With the best score of all that follows each node, every arc has a loss, 0 for the best one. The k segmentations of
    the least total loss differ from others found before by one more deviation [1]_, so a heap of those suffices.

    .. [1] E. L. Lawler, "A procedure for computing the K best solutions to discrete optimization problems", Management
       Science 18(7), 1972.
    """
    steps = len(sequence.evidence)
    arcs = _arcs_of(sequence, k)
    sequence.possible(0.0 if arcs(_Node(True, 0, -1)).to else -np.inf)
    found: list[list[tuple[int, int, int]]] = []
    heap: list[tuple[float, _Deviations]] = [(0.0, ())]
    while heap and len(found) < k:
        loss, deviations = heapq.heappop(heap)
        nodes, cut = _follow(arcs, dict(deviations), steps)
        found.append(cut)
        # One more deviation after the last, or a worse one in its place: so every way is reached once.
        last, rank = deviations[-1] if deviations else (-1, 0)
        if deviations:
            there = arcs(nodes[last]).loss
            if rank + 1 < len(there):
                heapq.heappush(heap, (loss - there[rank] + there[rank + 1], (*deviations[:-1], (last, rank + 1))))
        for at in range(last + 1, len(nodes)):
            there = arcs(nodes[at]).loss
            if len(there) > 1:
                heapq.heappush(heap, (loss + there[1], (*deviations, (at, 1))))
    paths = np.empty((len(found), steps), dtype=np.int32)
    for path, cut in zip(paths, found, strict=True):
        for start, stop, state in cut:
            path[start:stop] = state
    scores = np.array([_score(sequence, cut) for cut in found])
    # Losses are differences of large numbers; between scores as good as equal the sum decides.
    order = np.argsort(-scores, kind="stable")
    return paths[order], scores[order]


def _arcs_of(sequence: Sequence, k: int) -> Callable[[_Node], _Arcs]:
    """Return the function that gives the arcs of a node, at most the k best; it remembers them."""
    evidence, chain = sequence.evidence, sequence.model.forward
    states = evidence.shape[1]
    varying = len(chain.transition) > 1
    known: dict[_Node, _Arcs] = {}
    after_end, after_begin = _after(sequence)

    def durations(start: int, state: int) -> Float:
        """Best score of each duration of a segment, and all that follows."""
        value = _lasting(sequence, start, state)
        value += np.cumsum(evidence[start : start + value.size, state])
        return value + after_end[start : start + value.size, state]

    def ranked(value: Float, to: Callable[[int], _Node]) -> _Arcs:
        order = np.argsort(-value, kind="stable")[:k]
        order = order[value[order] > -np.inf]
        return _Arcs((value[order[:1]] - value[order]).tolist(), [to(int(i)) for i in order])

    def arcs(node: _Node) -> _Arcs:
        if node not in known:
            _, time, state = node
            if node.ends:
                chance = chain.transition[time if varying else 0, state] if time else chain.initial
                # The first segment has its own durations.
                best = after_begin[time] if time else np.array([durations(0, j).max() for j in range(states)])
                value = chance + best
                known[node] = ranked(value, lambda j: _Node(False, time, j))
            else:
                known[node] = ranked(durations(time, state), lambda i: _Node(True, time + i + 1, state))
        return known[node]

    return arcs


def _after(sequence: Sequence) -> tuple[Float, Float]:
    """Return the best of all that follows a segment whose last step is t, and of all from one that begins at t."""
    run, model, evidence, _ = sequence
    steps, states = evidence.shape
    if model.markov is None:
        # Against time the recursion gives just that.
        ends, begins = np.empty((steps, states)), np.empty((steps + 1, states))
        run.forward_max(model.backward, np.ascontiguousarray(evidence[::-1]), ends, begins)
        ends[0] = 0.0
        return ends[::-1], begins[::-1]
    markov, varying = model.markov, len(model.markov.transition) > 1
    ends, begins = np.zeros((steps, states)), np.empty((steps, states))
    begins[-1] = evidence[-1] + markov.last
    for t in range(steps - 2, -1, -1):
        ends[t] = (markov.transition[t + 1 if varying else 0] + begins[t + 1]).max(axis=1)
        begins[t] = evidence[t] + np.maximum(markov.stay + begins[t + 1], markov.leave + ends[t])
    return ends, begins


def _lasting(sequence: Sequence, start: int, state: int) -> Float:
    """Return the log probabilities of a segment of lasting 1, 2, … steps; all steps left are as the border says."""
    model, left = sequence.model, len(sequence.evidence) - start
    if model.markov is not None:
        value = model.markov.leave[state] + model.markov.stay[state] * np.arange(left)
        value[-1] += model.markov.last[state] - model.markov.leave[state]
        return value
    value = (model.forward.duration if start else model.forward.first)[state, :left].copy()
    if value.size == left:
        value[-1] = (model.last if start else model.only)[state, left - 1]
    return value


def _follow(
    arcs: Callable[[_Node], _Arcs], deviations: dict[int, int], steps: int
) -> tuple[list[_Node], list[tuple[int, int, int]]]:
    """Return the nodes on a way, and its segments (start, stop, state)."""
    nodes: list[_Node] = []
    cut: list[tuple[int, int, int]] = []
    node = _Node(True, 0, -1)
    while node.time < steps:
        nodes.append(node)
        following = arcs(node).to[deviations.get(len(nodes) - 1, 0)]
        if following.ends:
            cut.append((node.time, following.time, node.state))
        node = following
    return nodes, cut


def _score(sequence: Sequence, cut: list[tuple[int, int, int]]) -> float:
    """Return the log probability of a segmentation and the evidence."""
    evidence, chain = sequence.evidence, sequence.model.forward
    varying = len(chain.transition) > 1
    total, before = float(chain.initial[cut[0][2]]), -1
    for start, stop, state in cut:
        if start:
            total += float(chain.transition[start if varying else 0, before, state])
        total += float(_lasting(sequence, start, state)[stop - start - 1] + evidence[start:stop, state].sum())
        before = state
    return total
