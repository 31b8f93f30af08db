"""Model bundles that can be trusted: build, verify, sign, list, ship."""

from conv2d.packaging._archive import archive_bundle, unpack_bundle
from conv2d.packaging._bundle import Bundle
from conv2d.packaging._clean import Cleaning, clean_bundles
from conv2d.packaging._create import create_bundle
from conv2d.packaging._diff import Change, diff_bundles
from conv2d.packaging._export import export_onnx
from conv2d.packaging._findings import BundleError, BundleNotFoundError, Finding, GateError, MissingToolError, Verdict
from conv2d.packaging._gates import Gates
from conv2d.packaging._hailo import HailoTarget
from conv2d.packaging._model import OnnxModel
from conv2d.packaging._samples import Samples
from conv2d.packaging._sign import sign_bundle
from conv2d.packaging._store import find_bundle, list_bundles
from conv2d.packaging._verify import verify_bundle

__all__ = [
    "Bundle",
    "BundleError",
    "BundleNotFoundError",
    "Change",
    "Cleaning",
    "Finding",
    "GateError",
    "Gates",
    "HailoTarget",
    "MissingToolError",
    "OnnxModel",
    "Samples",
    "Verdict",
    "archive_bundle",
    "clean_bundles",
    "create_bundle",
    "diff_bundles",
    "export_onnx",
    "find_bundle",
    "list_bundles",
    "sign_bundle",
    "unpack_bundle",
    "verify_bundle",
]
