"""Serves one verified bundle over HTTP; no torch."""
