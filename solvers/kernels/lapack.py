"""BLAS and LAPACK routines of SciPy, called from compiled kernels.

NumPy's functions inside numba know neither triangular solves nor products of a matrix with its own transpose, and copy
what is not contiguous. Here the addresses of SciPy's routines are passed to the kernels as an argument, ``ROUTINES``,
so that kernels stay cached on disk. All calls run without Python's lock, on as many threads as BLAS is set to
(``threads.one_blas_thread``).

A C-ordered array (rows, columns) is LAPACK's (columns, rows): the *lower* triangle here is its upper one, and the
right-hand sides of a triangular system are the rows of an array. Matrices are C-ordered arrays, or leading rows of one.
"""

# An intrinsic is called without the typing context that it is defined with.
# pyright: reportCallIssue=false
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic

from .options import kernel

UPPER, LEFT, TRANSPOSED, PLAIN = (np.uint8(ord(letter)) for letter in "ULTN")


class Routines(NamedTuple):
    """Addresses of the routines."""

    gemm: int
    pbtrf: int
    potrf: int
    syrk: int
    trsm: int


ROUTINES = Routines(
    gemm=get_cython_function_address("scipy.linalg.cython_blas", "dgemm"),
    pbtrf=get_cython_function_address("scipy.linalg.cython_lapack", "dpbtrf"),
    potrf=get_cython_function_address("scipy.linalg.cython_lapack", "dpotrf"),
    syrk=get_cython_function_address("scipy.linalg.cython_blas", "dsyrk"),
    trsm=get_cython_function_address("scipy.linalg.cython_blas", "dtrsm"),
)


@intrinsic
def _call(typingctx, address, arguments):
    """Call the routine at an address: arrays are passed as pointers to their data, letters and numbers by reference."""

    def generate(context, builder, signature, values):
        pointers = []
        for i, kind in enumerate(arguments.types):
            value = builder.extract_value(values[1], i)
            if isinstance(kind, types.Array):
                pointer = context.make_array(kind)(context, builder, value).data
            elif kind == types.uint8 or isinstance(kind, types.Float):
                pointer = cgutils.alloca_once_value(builder, value)
            else:  # LAPACK's integers have 32 bits
                pointer = cgutils.alloca_once_value(builder, builder.trunc(value, ir.IntType(32)))
            pointers.append(builder.bitcast(pointer, cgutils.voidptr_t))
        routine = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t] * len(pointers))
        builder.call(builder.inttoptr(values[0], routine.as_pointer()), pointers)
        return context.get_dummy_value()

    return types.void(address, arguments), generate


@kernel
def factorise(routines, D, info):
    """Overwrite the lower triangle of a positive definite D (n, n) with its Cholesky factor; only that is read.

    Returns 0, or the number of the first pivot that is not positive. ``info`` (1,) int32 is work space.
    """
    n = np.int64(D.shape[0])
    _call(routines.potrf, (UPPER, n, D, n, info))
    return info[0]


@kernel
def factorise_band(routines, band, info):
    """Overwrite a positive definite band matrix (n, w + 1), row i with entry j at w − i + j, with its Cholesky factor.

    Returns 0, or the number of the first pivot that is not positive. ``info`` (1,) int32 is work space.
    """
    n, columns = np.int64(band.shape[0]), np.int64(band.shape[1])
    _call(routines.pbtrf, (UPPER, n, columns - 1, band, columns, info))
    return info[0]


@kernel
def forward(routines, L, B):
    """Overwrite every row b of B (k, n) with L⁻¹ b, for the lower triangle L (n, n)."""
    n = np.int64(L.shape[0])
    _call(routines.trsm, (LEFT, UPPER, TRANSPOSED, PLAIN, n, np.int64(B.shape[0]), 1.0, L, n, B, n))


@kernel
def backward(routines, L, B):
    """Overwrite every row b of B (k, n) with L⁻ᵀ b, for the lower triangle L (n, n)."""
    n = np.int64(L.shape[0])
    _call(routines.trsm, (LEFT, UPPER, PLAIN, PLAIN, n, np.int64(B.shape[0]), 1.0, L, n, B, n))


@kernel
def add_gram(routines, alpha, B, beta, C):
    """Set the lower triangle of the leading (k, k) part of C to β C + α B Bᵀ, for B (k, n)."""
    k, n = np.int64(B.shape[0]), np.int64(B.shape[1])
    _call(routines.syrk, (UPPER, TRANSPOSED, k, n, alpha, B, n, beta, C, np.int64(C.shape[1])))


@kernel
def add_gram_of_columns(routines, alpha, B, beta, C):
    """Set the lower triangle of the leading (n, n) part of C to β C + α Bᵀ B, for B (k, n)."""
    k, n = np.int64(B.shape[0]), np.int64(B.shape[1])
    _call(routines.syrk, (UPPER, PLAIN, n, k, alpha, B, n, beta, C, np.int64(C.shape[1])))


@kernel
def product(routines, alpha, X, B, beta, Y):
    """Set Y (p, n) to β Y + α X B, for X (p, k) and B (k, n); of longer rows of the three the first entries count."""
    n, p, k = np.int64(Y.shape[1]), np.int64(X.shape[0]), np.int64(B.shape[0])
    ldb, ldx = np.int64(B.shape[1]), np.int64(X.shape[1])
    _call(routines.gemm, (PLAIN, PLAIN, n, p, k, alpha, B, ldb, X, ldx, beta, Y, n))


@kernel
def product_transposed(routines, alpha, X, B, beta, Y):
    """Set the leading (p, n) part of Y to β Y + α X Bᵀ, for X (p, k) and B (n, k)."""
    n, p, k = np.int64(B.shape[0]), np.int64(X.shape[0]), np.int64(X.shape[1])
    _call(routines.gemm, (TRANSPOSED, PLAIN, n, p, k, alpha, B, k, X, k, beta, Y, np.int64(Y.shape[1])))
