"""Tools of this repository, each run from its root as ``python -m tools.<name>``."""
