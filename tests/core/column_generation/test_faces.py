"""The exact last step of a lasso."""

import numpy as np
import pytest

from sklearn_convexnn.core.column_generation.faces import finish_on_face

ALPHA = 0.02


def _lasso_value(gram, cross, C, alpha):
    return 0.5 * np.sum(C * (gram @ C)) - np.sum(C * cross) + alpha * np.abs(C).sum()


@pytest.mark.parametrize("repeated", [False, True], ids=["regular", "singular"])
@pytest.mark.parametrize("seed", range(10))
def test_finish_on_face_goes_down_and_is_stationary_there(seed, repeated):
    """The signs stay or become zero; on what is left ``cross - gram c = alpha sign(c)``."""
    rng = np.random.default_rng(seed)
    A = np.maximum(rng.standard_normal((30, 6)), 0)
    if repeated:
        A[:, 3:] = A[:, :3]
    gram, cross = A.T @ A / 30, A.T @ rng.standard_normal((30, 1)) / 30
    C = rng.standard_normal((6, 1)) * (rng.random((6, 1)) < 0.8)
    found = finish_on_face(gram, cross, C, ALPHA)
    assert np.all((np.sign(found) == np.sign(C)) | (found == 0))
    before, after = (_lasso_value(gram, cross, part, ALPHA) for part in (C, found))
    assert after <= before + 1e-12
    support = np.flatnonzero(found)
    slack = (cross - gram @ found - ALPHA * np.sign(found))[support]
    np.testing.assert_allclose(slack, 0, atol=1e-9)
