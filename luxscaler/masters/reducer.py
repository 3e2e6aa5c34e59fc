"""Means over the cells of a grid, of a picture whose rows come one after another."""

import numpy as np

from luxscaler.picture import FloatArray


class Reducer:
    """Adds up rows, and gives the means over the cells."""

    def __init__(self, picture: tuple[int, int], cells: tuple[int, int], channels: int) -> None:
        """picture, cells: (height, width) in pixels and in cells, of which there are no more than pixels."""
        self._rows, self._columns = picture
        self._cells = (min(cells[0], picture[0]), min(cells[1], picture[1]))
        self._sum = np.zeros((*self._cells, channels), np.float64)
        self._tops = np.arange(self._cells[0]) * self._rows // self._cells[0]
        self._starts = np.arange(self._cells[1]) * self._columns // self._cells[1]

    def add(self, top: int, rows: FloatArray) -> None:
        """Add (n, width, channels) float32 rows, of which the first is row `top`."""
        sums = np.add.reduceat(rows, self._starts, axis=1)
        cells = np.searchsorted(self._tops, np.arange(top, top + rows.shape[0]), side="right") - 1
        first = np.flatnonzero(np.diff(cells, prepend=-1))
        self._sum[cells[first]] += np.add.reduceat(sums, first, axis=0)

    def means(self) -> FloatArray:
        """The means, (height, width, channels) float32, once all rows were added."""
        down = np.diff(np.append(self._tops, self._rows))
        across = np.diff(np.append(self._starts, self._columns))
        return np.asarray(self._sum / (down[:, None] * across)[..., None], np.float32)
