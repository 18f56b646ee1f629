"""The suites of published benchmarks: problems by formula, labels by the published recipe, and published figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.interpolate import RectBivariateSpline

from ..media import benchmarks
from ..solvers.direct import DirichletSystem


@dataclass(frozen=True)
class Published:
    """A published figure.

    Attributes
    ----------
    network : its name.
    source : where it stands.
    l2, h1 : relative errors against the labels of the benchmark, mean over its test set; ``None``: not published.
    """

    network: str
    source: str
    l2: float
    h1: float | None = None


@dataclass(frozen=True)
class OutsideSuite:
    """A published benchmark.

    Attributes
    ----------
    name : for the command line.
    title : in words, with the values of the coefficient.
    pixels : a side.
    draw : generator -> coefficient (pixels, pixels), and the load f: a number or nodal values on the pixels' vertices.
    given : what the networks get, and on which grid.
    published : figures.
    pairs : training pairs of the benchmark; ``None``: not known.
    labels : coefficient -> the benchmark's solution at the pixels' centres, where its recipe is public.
    scale : fine cells per coarse cell of four pixels.
    """

    name: str
    title: str
    pixels: int
    draw: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray | float]]
    given: str
    published: tuple[Published, ...] = ()
    pairs: int | None = None
    labels: Callable[[np.ndarray], np.ndarray] | None = None
    scale: int = 8


def finite_difference_labels(A: np.ndarray) -> np.ndarray:
    """Solve −div(a∇u) = 1, u = 0 on the boundary, by the recipe of FNO's Darcy data (``solve_gwf.m``).

    The jumping coefficient is interpolated by cubic splines from the pixels' centres to a grid with nodes on the
    boundary; five-point differences there, with arithmetic means on the faces; the solution is interpolated back.

    Parameters
    ----------
    A : (m, m) cell values.

    Returns
    -------
    Values (m, m) at the pixels' centres.
    """
    m = len(A)
    centres, nodes = (np.arange(m) + 0.5) / m, np.linspace(0, 1, m)
    a = RectBivariateSpline(centres, centres, A)(nodes, nodes)
    x_faces, y_faces = (a[:, 1:] + a[:, :-1]) / 2, (a[1:] + a[:-1]) / 2
    diagonal = np.pad(x_faces, ((0, 0), (1, 0))) + np.pad(x_faces, ((0, 0), (0, 1)))
    diagonal += np.pad(y_faces, ((1, 0), (0, 0))) + np.pad(y_faces, ((0, 1), (0, 0)))
    right, up = np.pad(x_faces, ((0, 0), (0, 1))).ravel()[:-1], y_faces.ravel()
    above = sp.diags_array([-right, -up], offsets=[1, m], shape=(m * m, m * m))  # type: ignore[call-overload]
    K = sp.csr_array(above + above.T + sp.diags_array(diagonal.ravel()))
    free = np.pad(np.ones((m - 2, m - 2), bool), 1)
    u = DirichletSystem(K * (m - 1) ** 2, free).solve(np.ones((m, m)))
    return RectBivariateSpline(nodes, nodes, u)(centres, centres)


def _darcy(pixels: int, low: float, tau: float) -> Callable[[np.random.Generator], tuple[np.ndarray, float]]:
    return lambda rng: (benchmarks.darcy((pixels, pixels), rng, 12.0, low, tau), 1.0)


def _trigonometric(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    return benchmarks.trigonometric((512, 512), rng), 1.0


def _condiff(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    kind = str(rng.choice(list(benchmarks.CORRELATIONS)))
    return benchmarks.condiff((128, 128), rng, kind), rng.standard_normal((129, 129))


FNO, MGNO = "arXiv:2010.08895", "arXiv:2310.19809"
SUITES: dict[str, OutsideSuite] = {
    suite.name: suite
    for suite in (
        OutsideSuite(
            "darcy",
            "FNO Darcy, a = 12 or 3 by the sign of a Gaussian field (τ = 3), f = 1; 420² pixels (421, as published, is "
            "prime)",
            420,
            _darcy(420, 3.0, 3.0),
            "the coefficient at 85² points",
            (
                Published("FNO", FNO, 1.08e-2),
                Published("U-Net", "quoted in arXiv:2402.02366", 0.80e-2),
                Published("Transolver", "arXiv:2402.02366", 0.58e-2),
                Published("Transolver++", "arXiv:2502.02414", 0.49e-2),
                Published("MgNO, at another resolution", MGNO, 0.17e-2),
            ),
            1000,
            finite_difference_labels,
        ),
        OutsideSuite(
            "darcy-rough",
            "Darcy rough, a = 12 or 2 by the sign of a Gaussian field (τ = 5), f = 1; 512² pixels",
            512,
            _darcy(512, 2.0, 5.0),
            "the coefficient at 256² points",
            (
                Published("HANO", "arXiv:2210.10890", 0.34e-2, 1.85e-2),
                Published("MgNO", MGNO, 0.34e-2, 1.38e-2),
            ),
            1280,
            finite_difference_labels,
        ),
        OutsideSuite(
            "trigonometric",
            "multiscale trigonometric, six scales, f = 1; sampled at the centres of 512² pixels",
            512,
            _trigonometric,
            "the coefficient at 256² points",
            (
                Published("HANO", "arXiv:2210.10890", 0.58e-2, 1.75e-2),
                Published("MgNO", MGNO, 0.72e-2, 1.76e-2),
            ),
        ),
        OutsideSuite(
            "condiff",
            "ConDiff, a = exp φ with variance 1, length 0.05 and Gaussian, exponential or cubic correlation; f normal, "
            "independent at every vertex; 128² pixels",
            128,
            _condiff,
            "coefficient and load",
            scale=16,
        ),
    )
}
