"""Images and arrays as coefficients: reading, orientation, and grey levels turned into values."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DependencyMissing, InvalidProblem, NotCoercive
from .voids import corner_contacts, fill_voids

Array = np.ndarray

IMAGES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
ARRAYS = (".npy", ".npz")
#: Name of the array to take from an .npz file that has several; files written by ``files.write`` have it.
COEFFICIENT = "a"


@dataclass(frozen=True, eq=False)
class Medium:
    """A coefficient read from a file.

    Attributes
    ----------
    a : (my, mx) positive cell values, row 0 at the lowest y.
    notes : what was done to the file's content, in half sentences.
    greys : (lowest, highest grey level, coefficient) of every class of levels, the darkest first; empty where the file
        held the coefficient itself.
    voids : (my, mx) mask of the pixels with the coefficient 0, where ``a`` has the tiny one of :func:`fill_voids`;
        None: there are none.
    """

    a: Array
    notes: tuple[str, ...] = ()
    greys: tuple[tuple[float, float, float], ...] = ()
    voids: Array | None = None

    @property
    def size(self) -> tuple[float, float]:
        """Sides (Ly, Lx) of the rectangle for square pixels, the longer one 1: what solvers take as ``size=``."""
        my, mx = self.a.shape
        return my / max(my, mx), mx / max(my, mx)

    @property
    def phases(self) -> tuple[tuple[float, float], ...]:
        """Distinct values with their fractions of the area, by growing value."""
        values, counts = np.unique(self.a, return_counts=True)
        return tuple((float(v), float(n) / self.a.size) for v, n in zip(values, counts, strict=True))

    def cropped(self, multiple: int) -> Medium:
        """Return the medium with rows and columns cut off at the top and right, down to multiples of a number.

        Parameters
        ----------
        multiple : the number.

        Returns
        -------
        Medium
            With a note on what was cut off; itself if nothing was.

        Raises
        ------
        InvalidProblem
            If there are fewer pixels than that in a direction.
        """
        my, mx = ((n // multiple) * multiple for n in self.a.shape)
        if not my or not mx:
            raise InvalidProblem(
                f"{self.a.shape[1]} x {self.a.shape[0]} pixels cannot be cropped to multiples of {multiple}."
            )
        if (my, mx) == self.a.shape:
            return self
        note = f"cropped at the top and right, from {self.a.shape[1]} x {self.a.shape[0]}"
        voids = None if self.voids is None else self.voids[:my, :mx]
        return replace(self, a=self.a[:my, :mx].copy(), notes=(*self.notes, note), voids=voids)


def read_medium(path: Path, values: Sequence[float] | None = None, threshold: float | None = None) -> Medium:
    """Read the coefficient of a medium from an image or an array.

    Parameters
    ----------
    path : .png, .tif or .jpg with row 0 at the top, which is flipped; .npy or .npz with row 0 at the bottom.
    values : coefficients of the grey levels, the darkest first, 0 for voids: one per distinct level, or two values for
        the levels up to and above a threshold. None: an array holds the coefficient itself.
    threshold : for two values; None: by Otsu's method where there are more than two levels.

    Returns
    -------
    Medium
        Positive coefficients, and notes on what was done to the file's content.

    Raises
    ------
    InvalidProblem
        If the file cannot be read or the values do not fit its levels.
    NotCoercive
        If a value is negative.
    DependencyMissing
        If Pillow or scikit-image is needed and missing.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        raise InvalidProblem(f"{path} is a folder; give an image or array in it.")
    if suffix not in IMAGES + ARRAYS:
        raise InvalidProblem(f"{path.name} is no image or array; give {', '.join(IMAGES + ARRAYS)}.")
    if not path.is_file():
        raise InvalidProblem(f"there is no file {path}; check the name.")
    if suffix in ARRAYS:
        levels, notes = _read_array(path)
        if values is None:
            if threshold is not None:
                raise InvalidProblem("a threshold needs two values, e.g. --values 1,10.")
            return _medium(_finite(levels.astype(float), path.name), notes)
    else:
        if values is None:
            raise InvalidProblem(f"{path.name} has grey levels, not coefficients; give theirs, e.g. --values 1,10.")
        levels, notes = _read_image(path)
    a, said = assign_values(_finite(levels, path.name), values, threshold)
    return _medium(a, (*notes, *said), levels)


def _medium(a: Array, notes: tuple[str, ...], levels: Array | None = None) -> Medium:
    """Fill the voids and say so."""
    a, voids = fill_voids(a)
    if not voids.any():
        return Medium(a, notes, () if levels is None else _greys(levels, a))
    fill, contacts = float(a[voids][0]), corner_contacts(voids)
    notes += (f"voids (0) on {voids.mean():.1%} let nothing through (in numbers: {fill:g})",)
    if contacts:
        root = math.sqrt(fill * a.max())
        notes += (f"grains touch at corners between voids ({contacts}), which conduct like {root:.0e}",)
    return Medium(a, notes, () if levels is None else _greys(levels, a), voids)


def _greys(levels: Array, a: Array) -> tuple[tuple[float, float, float], ...]:
    """Ranges of levels with the same coefficient; neighbours among the levels that occur make one range."""
    distinct, first = np.unique(levels, return_index=True)
    of_level = a.ravel()[first]
    begin = np.flatnonzero(np.append(True, np.diff(of_level) != 0))
    end = np.append(begin[1:], len(distinct)) - 1
    return tuple((float(distinct[i]), float(distinct[j]), float(of_level[i])) for i, j in zip(begin, end, strict=True))


def assign_values(
    levels: Array, values: Sequence[float], threshold: float | None = None
) -> tuple[Array, tuple[str, ...]]:
    """Turn grey levels into coefficients.

    Parameters
    ----------
    levels : (my, mx).
    values : coefficients, as for :func:`read_medium`.
    threshold : between the levels, as for :func:`read_medium`.

    Returns
    -------
    a : Array
        (my, mx) coefficients.
    notes : tuple[str, ...]
        What was done, in half sentences.

    Raises
    ------
    InvalidProblem
        If the values do not fit the levels.
    NotCoercive
        If a value is negative.

    Examples
    --------
    >>> a, notes = assign_values(np.array([[0, 90], [200, 255]]), (1.0, 10.0), 128)
    >>> a.tolist(), notes
    ([[1.0, 1.0], [10.0, 10.0]], ('levels above 128 are 10',))
    """
    given = np.asarray(values, dtype=float)
    if not (np.isfinite(given) & (given >= 0)).all():
        raise NotCoercive(f"values must be positive, or 0 for voids, not {_joined(given)}.")
    distinct, place = np.unique(levels, return_inverse=True)
    if threshold is None and len(given) == len(distinct):
        chosen, notes = given[place].reshape(levels.shape), ()
    elif len(given) != 2:
        raise InvalidProblem(
            f"{len(given)} value(s) were given for {len(distinct)} grey levels ({_joined(distinct)}); give one per "
            "level, or two for the levels below and above a threshold."
        )
    else:
        if len(distinct) < 2:
            raise InvalidProblem(f"all pixels have the grey level {distinct[0]:g}; give one value.")
        at = _otsu(levels) if threshold is None else threshold
        if not distinct[0] <= at < distinct[-1]:
            raise InvalidProblem(
                f"the threshold {at:g} leaves all pixels on one side; choose it between the grey levels "
                f"{distinct[0]:g} and {distinct[-1]:g}."
            )
        chosen = np.where(levels > at, given[1], given[0])
        notes = (f"levels above {at:g}{' (Otsu)' * (threshold is None)} are {given[1]:g}",)
    return chosen, notes


def _otsu(levels: Array) -> float:
    """Threshold of the largest variance between the classes (N. Otsu, IEEE Trans. SMC 9 (1979) 62-66)."""
    try:
        from skimage.filters import threshold_otsu
    except ImportError as error:
        raise DependencyMissing(
            "Otsu's threshold needs scikit-image: pip install scikit-image, or give --threshold."
        ) from error
    return float(threshold_otsu(levels))


def _read_image(path: Path) -> tuple[Array, tuple[str, ...]]:
    """Grey levels (my, mx) of an image with the lowest row first, and what was done to it."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise DependencyMissing("images need Pillow: pip install 'ngs-nhcsr[viz]'.") from error
    try:
        with Image.open(path) as opened:
            pages = getattr(opened, "n_frames", 1)
            picture = ImageOps.exif_transpose(opened)
            picture.load()
            stored = _tiff_type(opened)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InvalidProblem(
            f"{path.name} cannot be read as an image ({type(error).__name__}); save it anew."
        ) from error
    if pages > 1:
        raise InvalidProblem(f"{path.name} has {pages} pages; save the one to be solved as an image of its own.")
    notes: tuple[str, ...] = ("rows flipped, since images start at the top",)
    if ("A" in picture.getbands() or "transparency" in picture.info) and (
        np.asarray(picture.convert("RGBA"))[..., 3].min() < 255
    ):
        raise InvalidProblem(f"{path.name} has transparent pixels, which have no grey level; save it without.")
    if picture.mode not in ("1", "L", "F") and not picture.mode.startswith("I"):
        colours = np.asarray(picture.convert("RGB"))
        notes += ("colours turned to grey",) * bool((colours != colours[..., :1]).any())
        picture = picture.convert("RGB").convert("L")
    levels = _numbers(np.asarray(picture))
    if stored is not None and stored.itemsize == levels.itemsize:
        levels = levels.view(stored)
    return levels[::-1].copy(), notes


def _tiff_type(opened: Any) -> np.dtype | None:
    """Type of the whole numbers in a TIFF, where Pillow takes unsigned ones for signed ones or the other way round."""
    tags = getattr(opened, "tag_v2", {})
    bits, kind = tags.get(258), tags.get(339, (1,))  # unsigned by default
    if (bits, kind) == ((32,), (1,)):
        return np.dtype(np.uint32)
    return np.dtype(np.int8) if (bits, kind) == ((8,), (2,)) else None


def _read_array(path: Path) -> tuple[Array, tuple[str, ...]]:
    """Two-dimensional array of real numbers of an .npy file, or the one named "a" or the only one of an .npz file.

    With a note on which one, where there are several.
    """
    notes: tuple[str, ...] = ("row 0 taken as the bottom",)
    try:
        loaded: Any = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.ndarray):
            with loaded as archive:
                names = archive.files
                if COEFFICIENT not in names and len(names) != 1:
                    raise InvalidProblem(f'{path.name} holds {", ".join(names)}; call the coefficient "{COEFFICIENT}".')
                if len(names) > 1:
                    others = [name for name in names if name != COEFFICIENT]
                    notes += (f'array "{COEFFICIENT}" taken, not {_listed(others)}',)
                loaded = archive[COEFFICIENT if COEFFICIENT in names else names[0]]
    except InvalidProblem:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidProblem(f"{path.name} cannot be read as a NumPy array of numbers; write it by np.save.") from error
    if loaded.ndim != 2 or loaded.size == 0 or loaded.dtype.kind not in "buif":
        raise InvalidProblem(
            f"{path.name} has shape {loaded.shape} and type {loaded.dtype}; a two-dimensional array of real numbers is "
            "needed, row 0 at the bottom."
        )
    return _numbers(loaded), notes


def _numbers(array: Array) -> Array:
    """Truth values as 0 and 1, other arrays as they are."""
    return array.astype(np.uint8) if array.dtype == bool else array


def _finite(a: Array, name: str) -> Array:
    """Return an array of finite numbers."""
    wrong = np.argwhere(~np.isfinite(a))
    if len(wrong):
        row, column = (int(k) for k in wrong[0])
        raise InvalidProblem(
            f"{name} has values that are not finite: {len(wrong)}, the first at row {row}, column {column}; replace "
            "them."
        )
    return a


def _joined(numbers: Array, most: int = 6) -> str:
    return _listed([f"{v:g}" for v in numbers[: most + 1]], most)


def _listed(words: Sequence[str], most: int = 6) -> str:
    return ", ".join([*words[:most], *["…"] * (len(words) > most)])
