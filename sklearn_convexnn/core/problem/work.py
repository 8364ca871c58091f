"""A limit on the work of a stage, counted so that it ends at the same place on every machine."""

from __future__ import annotations

import numpy as np


class Work:
    """Units of work that may still be done; ``limited`` says whether some were refused."""

    def __init__(self, limit=np.inf):
        self.left = limit
        self.limited = False

    def spend(self, amount=1):
        """Take units; false, and nothing is taken, where none is left."""
        if self.left <= 0:
            self.limited = True
            return False
        self.left -= amount
        return True
