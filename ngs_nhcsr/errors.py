"""Exceptions and warnings. Every message says what is wrong, where, and what to do about it."""


class NhcsrError(Exception):
    """Base of all exceptions of this package."""


class InvalidProblem(NhcsrError, ValueError):  # noqa: N818
    """The coefficient, the coarse solution or an argument breaks a rule."""


class NotCoercive(InvalidProblem):
    """A coefficient is not positive definite, or c or α is negative, so the problem may have no unique solution."""


class GridMismatch(InvalidProblem):
    """Meshes, rasters or scales do not fit together."""


class ModelFileError(NhcsrError):
    """A model file is missing, damaged, or of another version."""


class UntrustedResult(NhcsrError):  # noqa: N818
    """The result failed a check and the caller asked for an exception."""


class SolverFailure(NhcsrError, ArithmeticError):  # noqa: N818
    """A linear solver did not reach its tolerance."""


class TrainingFailure(NhcsrError, ArithmeticError):  # noqa: N818
    """A loss is not finite; the weights from before that step are kept."""


class DeviceError(NhcsrError, ValueError):
    """A device was asked for that is not there, or ran out of memory."""


class DependencyMissing(NhcsrError, ImportError):  # noqa: N818
    """An optional package is needed for this call."""


class NhcsrWarning(UserWarning):
    """The result stands, with a reservation that the message names."""
