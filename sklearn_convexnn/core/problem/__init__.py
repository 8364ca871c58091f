"""The problem in working units: losses, rows, networks, and how far one is from the optimum."""
