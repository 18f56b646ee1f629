"""Work space that is used again: fresh memory costs as much as the solve that works on it.

The system hands out memory page by page at first touch; for a mesh of 512² cells that took 30 ms, the solve 23 ms.
"""

from __future__ import annotations

from math import prod
from threading import Lock
from weakref import finalize

import numpy as np

#: Bytes that are kept for later; what would be more is given back to the system.
KEPT = 512 * 2**20


class _Pool:
    """Arrays that nobody uses, by their size in bytes."""

    def __init__(self) -> None:
        self._free: dict[int, list[np.ndarray]] = {}
        self._bytes = 0
        self._lock = Lock()

    def take(self, nbytes: int) -> np.ndarray:
        """Return an array of bytes, whatever is in them."""
        with self._lock:
            found = self._free.get(nbytes)
            raw = found.pop() if found else None
            if raw is not None:
                self._bytes -= nbytes
        return np.zeros(nbytes, np.uint8) if raw is None else raw

    def give(self, arrays: list[np.ndarray]) -> None:
        """Keep arrays for others."""
        with self._lock:
            for raw in arrays:
                if self._bytes + raw.nbytes <= KEPT:
                    self._free.setdefault(raw.nbytes, []).append(raw)
                    self._bytes += raw.nbytes


_pool = _Pool()


class Buffers:
    """Arrays of one owner, which go back to a pool when this object ends: nobody else may keep them or views of them.

    Examples
    --------
    >>> buffers = Buffers()
    >>> buffers.zeros((2, 3), np.float32).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []
        finalize(self, _pool.give, self._arrays)

    def zeros(self, shape: tuple[int, ...], dtype: type = np.float64) -> np.ndarray:
        """Return an array of zeros.

        Parameters
        ----------
        shape : of the array.
        dtype : of its entries.

        Returns
        -------
        The array, contiguous.
        """
        out = self._take(shape, dtype)
        out.fill(0)
        return out

    def ringed(self, shape: tuple[int, int], dtype: type = np.float64) -> np.ndarray:
        """Return an array with zeros in its first and last row and column only, which is faster.

        Parameters
        ----------
        shape : of the array, two lengths.
        dtype : of its entries.

        Returns
        -------
        The array, contiguous; what is inside, NaN maybe, has to be written before it is read.
        """
        out = self._take(shape, dtype)
        out[0] = out[-1] = out[:, 0] = out[:, -1] = 0
        return out

    def _take(self, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        raw = _pool.take(prod(shape) * np.dtype(dtype).itemsize)
        self._arrays.append(raw)
        return raw.view(dtype).reshape(shape)
