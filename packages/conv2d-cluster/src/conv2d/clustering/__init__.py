"""Behavioural motifs whose ids do not change: k-means and Gaussian mixtures with Hungarian label matching."""

from conv2d.clustering._base import Clusterer
from conv2d.clustering._gmm import GMMClusterer
from conv2d.clustering._kmeans import KMeansClusterer
from conv2d.clustering._matching import LabelMatch, MatchedMotif, match_labels
from conv2d.clustering._merging import Merge
from conv2d.clustering._selection import Candidate, Selection

__all__ = [
    "Candidate",
    "Clusterer",
    "GMMClusterer",
    "KMeansClusterer",
    "LabelMatch",
    "MatchedMotif",
    "Merge",
    "Selection",
    "match_labels",
]
