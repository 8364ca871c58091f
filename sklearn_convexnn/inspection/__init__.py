"""Looking into fitted networks: tables, certificates and pictures."""

__all__ = []
