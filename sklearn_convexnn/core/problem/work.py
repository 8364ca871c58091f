"""A limit on the work of a stage, counted so that it ends at the same place on every machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Work:
    """Units of work that are left; whoever spends them looks whether there are any."""

    left: float

    def spend(self, units=1):
        """Take one unit, or so many."""
        self.left -= units
