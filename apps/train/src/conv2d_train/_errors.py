"""The errors a user's mistake raises, each with its exit code."""

from __future__ import annotations


class ConfigError(ValueError):
    """The experiment's configuration breaks a rule; the message names file, line, key, rule and fix."""


class RunError(ValueError):
    """A run folder lacks what a command needs, or belongs to another configuration."""
