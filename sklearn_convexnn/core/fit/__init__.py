"""Whole fits: one alpha, a path of alphas, given patterns."""
