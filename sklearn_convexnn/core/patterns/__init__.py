"""Activation patterns: which there are, and the cones of directions that have them."""
