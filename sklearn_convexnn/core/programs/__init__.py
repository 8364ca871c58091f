"""The finite convex programs over given activation patterns, and their solvers."""
