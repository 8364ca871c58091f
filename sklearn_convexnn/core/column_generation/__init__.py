"""Column generation: networks that grow by the dual constraints they violate."""
