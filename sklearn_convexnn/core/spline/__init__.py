"""Networks on a line."""
