"""Does it help that subjects share motifs? Made-up corpora with a truth, then real recordings.

    CONV2D_TEST_DATA=… uv run python packages/conv2d-cluster/benchmarks/hdp.py [--cache FOLDER] [--data NAME]

Made up: 8 subjects of 120 points in 8 dimensions, three states that all share and one private state each; 10 corpora.
"alone" fits each subject by itself, so that its motifs have no names in common.

Real: ARI and AMI of the motifs with the annotated behaviour (which no clusterer saw), over all windows and as the mean
within subjects; and the held-out log density in nats per window: "blocks", every fourth block of 20 windows of each
subject left out; "subjects", each subject left out in turn (then a subject has no weights of its own). Of more than
7,000 windows every second, third, … is taken.
"""

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from _encodings import HOPS, Encoding, encoding
from sklearn.metrics import adjusted_mutual_info_score as ami
from sklearn.metrics import adjusted_rand_score as ari

from conv2d.clustering import DirichletProcessClusterer, HDPClusterer, KMeansClusterer, fit_groups


def corpus(seed: int, apart: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(11, 8)) * apart / np.sqrt(2)
    weights = np.hstack([0.65 * rng.dirichlet([2, 2, 2], 8), 0.35 * np.eye(8)])
    truth = np.array([rng.choice(11, 120, p=w) for w in weights]).reshape(-1)
    return means[truth] + rng.normal(size=(960, 8)), truth, np.repeat([f"s{j}" for j in range(8)], 120)


def alone(x: np.ndarray, subject: np.ndarray) -> np.ndarray:
    labels = np.empty(len(x), dtype=int)
    for j, (name, model) in enumerate(fit_groups(HDPClusterer(), x, subject).items()):
        labels[subject == name] = 100 * j + model.labels_
    return labels


def made_up() -> None:
    print(
        "| distance of states | HDP | pooled, same code | pooled, scikit-learn DP | alone | motifs of HDP (truth 11) |"
    )
    print("|---|---|---|---|---|---|")
    for apart in (1.5, 2.0, 2.5, 3.0):
        rows, motifs = [], []
        for seed in range(10):
            x, truth, subject = corpus(seed, apart)
            shared = HDPClusterer().fit(x, groups=subject)
            others = [HDPClusterer().fit(x).labels_, DirichletProcessClusterer(max_clusters=20).fit(x).labels_]
            rows.append([ari(truth, labels) for labels in (shared.labels_, *others, alone(x, subject))])
            motifs.append(shared.selection_.k)
        means = " | ".join(f"{value:.2f}" for value in np.mean(rows, axis=0))
        print(f"| {apart:g} | {means} | {np.mean(motifs):.1f} |", flush=True)


def blocks_held_out(subject: np.ndarray) -> np.ndarray:
    position = np.array([np.count_nonzero(subject[:i] == s) for i, s in enumerate(subject)])
    return position // 20 % 4 == 3


def by_subject(labels: np.ndarray, data: Encoding) -> float:
    return float(
        np.mean([ari(data.behaviour[data.subject == s], labels[data.subject == s]) for s in set(data.subject)])
    )


def held_out(data: Encoding, held: np.ndarray, use_groups: bool, alpha: float) -> float:
    fit: dict[str, Any] = {"groups": data.subject[~held]} if use_groups else {}
    test: dict[str, Any] = {"groups": data.subject[held]} if use_groups else {}
    return HDPClusterer(alpha=alpha).fit(data.embeddings[~held], **fit).score(data.embeddings[held], **test)


def real(name: str, data: Encoding) -> None:
    data = thinned(data)
    x, subject = data.embeddings, data.subject
    blocks = blocks_held_out(subject)
    print(f"\n{name}: {len(x):,} windows, {len(set(subject))} subjects, {len(set(data.behaviour))} behaviours\n")
    print("| clusterer | motifs | ARI | AMI | ARI within subjects | held out, blocks | held out, subjects |")
    print("|---|---|---|---|---|---|---|")
    for label, use_groups, alpha in (
        ("HDP, alpha 1", True, 1.0),
        ("HDP, alpha 10", True, 10.0),
        ("pooled, same code", False, 1.0),
    ):
        named: dict[str, Any] = {"groups": subject} if use_groups else {}
        model = HDPClusterer(alpha=alpha).fit(x, **named)
        known = held_out(data, blocks, use_groups, alpha)
        new = np.mean([held_out(data, subject == s, use_groups, alpha) for s in sorted(set(subject))])
        line(label, model.labels_, data, f"{known:.2f} | {new:.2f}")
    line("pooled, scikit-learn DP", DirichletProcessClusterer(max_clusters=20).fit(x).labels_, data, "– | –")
    line("k-means, k = 20", KMeansClusterer().fit(x, k=20).labels_, data, "– | –")
    line("alone", alone(x, subject), data, "– | –")


def thinned(data: Encoding) -> Encoding:
    step = -(-len(data.subject) // 7000)
    return Encoding(data.embeddings[::step], data.codes[::step], data.behaviour[::step], data.subject[::step])


def line(label: str, labels: np.ndarray, data: Encoding, scores: str) -> None:
    found = f"{ari(data.behaviour, labels):.3f} | {ami(data.behaviour, labels):.3f} | {by_subject(labels, data):.3f}"
    print(f"| {label} | {len(set(labels))} | {found} | {scores} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path, help="keep the encodings here")
    parser.add_argument("--data", choices=HOPS, help="only these recordings; by default all, and what is made up")
    options = parser.parse_args()
    if options.data is None:
        made_up()
    for name in [options.data] if options.data else HOPS:
        real(name, encoding(name, options.cache))


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of fits that stop at max_iter
    main()
