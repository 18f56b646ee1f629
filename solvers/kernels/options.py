"""Options of all compiled kernels (numba): cached on disk, without Python's lock, one thread each."""

#: Reassociation and contraction vectorise sums; nothing assumes that numbers are finite.
OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz", "arcp"}}
