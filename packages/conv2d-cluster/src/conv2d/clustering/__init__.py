"""Behavioural motifs whose ids do not change: clusterers, Hungarian label matching, stability, an audit trail."""

from conv2d.clustering._adapter import ScikitLearnClusterer
from conv2d.clustering._base import Clusterer, MotifClusterer
from conv2d.clustering._codes import CodeMixtureClusterer
from conv2d.clustering._continuation import Continuation
from conv2d.clustering._dirichlet import DirichletProcessClusterer
from conv2d.clustering._gmm import GMMClusterer
from conv2d.clustering._groups import fit_groups
from conv2d.clustering._hdp import HDPClusterer
from conv2d.clustering._kmeans import KMeansClusterer
from conv2d.clustering._matching import LabelMatch, MatchedMotif, match_labels
from conv2d.clustering._merging import Merge
from conv2d.clustering._replay import Replay, replay
from conv2d.clustering._selection import Candidate, Selection
from conv2d.clustering._stability import Agreement, MotifStability, StabilityReport, stability_report

__all__ = [
    "Agreement",
    "Candidate",
    "Clusterer",
    "CodeMixtureClusterer",
    "Continuation",
    "DirichletProcessClusterer",
    "GMMClusterer",
    "HDPClusterer",
    "KMeansClusterer",
    "LabelMatch",
    "MatchedMotif",
    "Merge",
    "MotifClusterer",
    "MotifStability",
    "Replay",
    "ScikitLearnClusterer",
    "Selection",
    "StabilityReport",
    "fit_groups",
    "match_labels",
    "replay",
    "stability_report",
]
