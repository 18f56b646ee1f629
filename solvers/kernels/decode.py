"""Compiled parts of a network's inference on CPUs: the activation, and sums of decoded fields times terms.

Owns the loops that torch does in many passes over memory; convolutions stay torch's. Twins in torch stand where the
kernels are called.
"""

from __future__ import annotations

import math

import numpy as np

from .options import kernel

_ONE, _HALF = np.float32(1), np.float32(0.5)
#: -2 (2/π)^½ log2(e), and the same times GELU's cubic coefficient: tanh written as powers of two.
_LINEAR = np.float32(-2 * math.sqrt(2 / math.pi) / math.log(2))
_CUBIC = np.float32(0.044715) * _LINEAR
#: Largest exponent of two used: e is then finite and positive.
_LARGEST = np.float32(126)
#: Taylor coefficients of 2^t for |t| ≤ 1/2, error 2e-7.
_C1, _C2, _C3, _C4, _C5, _C6 = (np.float32(math.log(2) ** k / math.factorial(k)) for k in range(1, 7))


@kernel
def gelu(x, begin, end):
    """Replace columns of x (n, m) float32 by x/2 (1 + tanh((2/π)^½ (x + 0.044715 x³))) = x / (1 + e); NaN stays NaN.

    The exponential is a polynomial times a power of two made of its bits, since a call would not vectorise.
    """
    for i in range(x.shape[0]):
        row = x[i, begin:end]  # indices of columns themselves might be negative, which keeps loops from vectorising
        for k in range(row.size):
            v = row[k]
            z = v * (_LINEAR + _CUBIC * v * v)
            z = z if z > -_LARGEST else -_LARGEST  # also where it is NaN, which v carries on
            z = z if z < _LARGEST else _LARGEST
            n = np.floor(z + _HALF)
            t = z - n
            p = _ONE + t * (_C1 + t * (_C2 + t * (_C3 + t * (_C4 + t * (_C5 + t * _C6)))))
            power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
            row[k] = v / (_ONE + p * power)


@kernel
def add_products(terms, fields, factor, y, fy, x, fx, out, i0, i1):
    """Set rows i0 to i1 of out (Y, X) to base + factor Σ_j fields_j terms_j, base and terms Q1 on a coarser grid.

    terms (J+1, n+1, m+1) are nodal values of the J terms and, last, of the base; fields (J, Y, X) and factor (Y, X) are
    float32, all else float64. The places along an axis lie in the cells y (Y,), x (X,), int64, at fy, fx from 0 to 1.
    """
    J, m = fields.shape[0], terms.shape[2]
    row, total = np.empty(m), np.empty(x.size)
    for i in range(i0, i1):
        low, high, t = y[i], y[i] + 1, fy[i]
        total[:] = 0
        for j in range(J):
            for k in range(m):
                row[k] = terms[j, low, k] + t * (terms[j, high, k] - terms[j, low, k])
            for k in range(x.size):
                total[k] += fields[j, i, k] * (row[x[k]] + fx[k] * (row[x[k] + 1] - row[x[k]]))
        for k in range(m):
            row[k] = terms[J, low, k] + t * (terms[J, high, k] - terms[J, low, k])
        for k in range(x.size):
            out[i, k] = row[x[k]] + fx[k] * (row[x[k] + 1] - row[x[k]]) + factor[i, k] * total[k]
