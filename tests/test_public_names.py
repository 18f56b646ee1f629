"""The public names, frozen: a new one is a line here, one that goes away warns for a minor version before."""

import importlib
import warnings

import pytest

from ngs_nhcsr import load_model

#: By module; names of ``ngs_nhcsr`` and ``ngs_nhcsr.solvers``, and what the reference and CONTRIBUTING.md build on.
PUBLIC = {
    "ngs_nhcsr": """
        __version__ compare Comparison correct correct_many Correction Corrector DependencyMissing
        DeviceError draw FineQ1 GridMismatch InvalidProblem list_models load_model load_solution ModelCard
        ModelFileError NhcsrError NhcsrWarning NotCoercive orbit PDE PixelMultigrid plot_compare plot_field
        plot_slices plot_spectrum plot_warp plot_zoom Problem Scheme Solution solve_fine SolverFailure
        Status Target to_pyvista UntrustedResult
    """,
    "ngs_nhcsr.solvers": """
        coarse_solve effective_conductivity EquilibratedFlux fine_solve Load LOD Medium MsFEM Multigrid
        relative_errors Scheme solve_pde Space TraceField
    """,
    "ngs_nhcsr.comparison": """
        compare Comparison Method methods
    """,
    "ngs_nhcsr.comparison.rows": """
        Row
    """,
    "ngs_nhcsr.demo": """
        coarse_problem
    """,
    "ngs_nhcsr.media.families": """
        families two_valued
    """,
    "ngs_nhcsr.media.images": """
        Medium read_medium
    """,
    "ngs_nhcsr.networks.decoders": """
        Decoder decoders
    """,
    "ngs_nhcsr.networks.encoders": """
        Encoder encoders
    """,
    "ngs_nhcsr.networks.zoo": """
        build_model
    """,
    "ngs_nhcsr.prepared": """
        PreparedCorrector
    """,
    "ngs_nhcsr.solvers.positions": """
        Nodes Points
    """,
    "ngs_nhcsr.solvers.target": """
        FineQ1 Target
    """,
    "ngs_nhcsr.solvers.trace": """
        Conductivity effective_conductivity solve_pde TraceField
    """,
    "ngs_nhcsr.training.config": """
        configs DataSet TrainConfig
    """,
    "ngs_nhcsr.training.loop": """
        train
    """,
    "ngs_nhcsr.training.losses": """
        Batch Loss losses
    """,
    "ngs_nhcsr.training.problems": """
        draw Recipe
    """,
}
RULE = (
    "was public and is gone. Keep it for one minor version as an alias that warns with DeprecationWarning, note that "
    "in CHANGELOG.md, and take it out here one minor version later (CONTRIBUTING.md, Names and versions)."
)


@pytest.mark.parametrize("module", PUBLIC)
def test_no_public_name_goes_away_unannounced(module):
    there = importlib.import_module(module)
    gone = [name for name in PUBLIC[module].split() if not hasattr(there, name)]
    assert not gone, f"{module}: {', '.join(gone)} {RULE}"


@pytest.mark.parametrize("module", ["ngs_nhcsr", "ngs_nhcsr.solvers"])
def test_new_public_names_are_written_down(module):
    new = set(importlib.import_module(module).__all__) - set(PUBLIC[module].split())
    assert not new, f"public now, add to PUBLIC: {', '.join(sorted(new))}"


def test_a_former_name_warns_and_works():
    with pytest.warns(DeprecationWarning, match="called 'basis-hybrid' now"):
        model = load_model("nhcsr-light", "cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_model("basis-hybrid", "cpu") is model
