"""How a codebook is used: which codes, how evenly, how they follow each other, and what they say about classes.

Nothing here knows where codes come from: any int array ``(N, tokens)`` will do, from FSQ, a learnt codebook or elsewhere. Rows are
windows in the order of time; ``sequence`` tells where a recording ends.
"""

from conv2d.features._code_classes import ClassSignatures, class_signatures
from conv2d.features._code_time import Dwells, dwells, transition_counts
from conv2d.features._code_usage import CodeUsage, DeadLevel, code_usage, dead_levels
from conv2d.features._rate_distortion import RateDistortion, RatePoint, rate_distortion

__all__ = [
    "ClassSignatures",
    "CodeUsage",
    "DeadLevel",
    "Dwells",
    "RateDistortion",
    "RatePoint",
    "class_signatures",
    "code_usage",
    "dead_levels",
    "dwells",
    "rate_distortion",
    "transition_counts",
]
