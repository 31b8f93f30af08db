"""Behavioural motifs whose ids do not change: k-means and Gaussian mixtures with Hungarian label matching."""
