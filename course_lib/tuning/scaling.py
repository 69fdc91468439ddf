"""Numeric features on one scale, learned from training data alone."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


class Standardiser:
    """Each feature minus its mean, divided by its standard deviation, both of the training data.

    A feature that never varies becomes 0. means_, deviations_: (n_features,).
    """

    means_: Numbers
    deviations_: Numbers

    def fit(self, features: npt.ArrayLike) -> Self:
        """Learn means and deviations of (n, n_features). Raises ValueError for no row, another shape, NaN or infinity."""
        values = _checked(features)
        self.means_ = values.mean(axis=0)  # (n_features,)
        deviations = values.std(axis=0)  # (n_features,)
        self.deviations_ = np.where(deviations > 0, deviations, 1.0)
        return self

    def __call__(self, features: npt.ArrayLike) -> Numbers:
        """Return (n, n_features) scaled by what was learned. Raises ValueError for another number of features."""
        if not hasattr(self, "means_"):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError("fit the standardiser on the training data before you scale with it")
        values = _checked(features)
        if values.shape[1] != len(self.means_):
            raise ValueError(f"features must have {len(self.means_)} columns, as in training, got {values.shape[1]}")
        return np.asarray((values - self.means_) / self.deviations_)


def _checked(features: npt.ArrayLike) -> Numbers:
    values = np.asarray(features, dtype=np.float64)
    if values.ndim != 2 or not len(values):
        raise ValueError(f"features must be (n, n_features) with at least one row, got shape {values.shape}")
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0].tolist()
        raise ValueError(f"features must be finite, got {values[row, column]} in row {row}, column {column}")
    return values
