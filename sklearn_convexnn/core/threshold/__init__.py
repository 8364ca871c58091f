"""Threshold networks: neurons that are 0 or 1, and half-spaces as the columns of a lasso."""
