"""Model files: nothing damaged, foreign or newer is ever loaded, and nothing but ModelFileError is raised."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import ngs_nhcsr
import ngs_nhcsr.solvers
import ngs_nhcsr.training
from ngs_nhcsr import ModelFileError, list_models, load_model
from ngs_nhcsr.models import Contract, export_model, read_card
from ngs_nhcsr.networks.architecture import Architecture
from ngs_nhcsr.networks.corrector import CorrectorNetwork

TINY = Architecture(
    encoder_options={"widths": [4, 6], "depth": 1}, decoder_options={"rank": 2, "width": 4}, upscaling=1
)


@pytest.fixture
def card(tmp_path):
    path = tmp_path / "tïny model.json"
    torch.manual_seed(0)
    export_model(
        CorrectorNetwork(TINY).state_dict(),
        path,
        name="tiny",
        architecture=TINY,
        contract=Contract(),
        training={"steps": 1},
        validation={},
    )
    return path


def test_shipped_models_load_and_stay_small():
    assert "basis-hybrid" in list_models()
    folder = Path(ngs_nhcsr.__file__).parent / "weights"
    assert sum(p.stat().st_size for p in folder.iterdir()) < 25 * 2**20
    for name in list_models():
        model = load_model(name, "cpu")
        assert model.card.name == name
        assert model.card.training["steps"] > 0
        assert model.card.validation


def test_written_model_is_read_back(card):
    model = load_model(card, "cpu")
    assert model.card.contract == Contract()
    torch.manual_seed(0)
    for k, v in CorrectorNetwork(TINY).state_dict().items():
        torch.testing.assert_close(model.network.state_dict()[k], v)


@pytest.mark.parametrize(
    "name", ["../secret", "a/b", "/etc/passwd", "http://x/y", "", "..", "basis-hybrid\n", "no-such-model"]
)
def test_51_names_are_names(name):
    with pytest.raises(ModelFileError):
        load_model(name, "cpu")


def test_43_truncated_weights(card):
    weights = card.with_suffix(".safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match="SHA-256"):
        load_model(card, "cpu")


def test_44_one_flipped_bit(card):
    weights = card.with_suffix(".safetensors")
    data = bytearray(weights.read_bytes())
    data[-7] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(ModelFileError, match="SHA-256"):
        load_model(card, "cpu")


def rewrite(card, **changes):
    """Forge a card with a matching hash, as an attacker would."""
    from dataclasses import replace

    weights = card.with_suffix(".safetensors").read_bytes()
    fields = {**json.loads(card.read_text()), **changes}
    card.write_text(json.dumps(fields))
    try:
        read = read_card(card)
    except ModelFileError:
        return
    fields["sha256"] = replace(read, sha256="").digest(weights)
    card.write_text(json.dumps(fields))


def test_45_pickle_is_not_executed(card, tmp_path):
    import pickle

    witness = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return (witness.touch, ())

    card.with_suffix(".safetensors").write_bytes(pickle.dumps(Evil()))
    rewrite(card)
    with pytest.raises(ModelFileError, match="not a valid safetensors"):
        load_model(card, "cpu")
    assert not witness.exists()


def test_46_huge_declared_sizes(card):
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    card.with_suffix(".safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    rewrite(card)
    with pytest.raises(ModelFileError):
        load_model(card, "cpu")


def test_47_nan_in_weights(card):
    weights = card.with_suffix(".safetensors")
    tensors = load_file(weights)
    tensors["encoder.stem.bias"][0] = float("nan")
    save_file(tensors, weights)
    rewrite(card)
    with pytest.raises(ModelFileError, match=r"not finite in encoder\.stem\.bias"):
        load_model(card, "cpu")


def test_48_weights_of_another_architecture(card):
    rewrite(card, architecture={**json.loads(card.read_text())["architecture"], "decoder_options": {"rank": 3}})
    with pytest.raises(ModelFileError, match="does not fit"):
        load_model(card, "cpu")


def test_49_newer_card_and_unknown_fields(card):
    rewrite(card, format=99)
    with pytest.raises(ModelFileError, match="reads up to"):
        load_model(card, "cpu")
    rewrite(card, format=1, surprise=1)
    with pytest.raises(ModelFileError, match="unknown fields: surprise"):
        load_model(card, "cpu")


def test_50_widened_contract(card):
    fields = json.loads(card.read_text())
    fields["contract"]["contrast"] = [1, 1e9]
    card.write_text(json.dumps(fields))
    with pytest.raises(ModelFileError, match="SHA-256"):
        load_model(card, "cpu")


def test_52_empty_file_directory_and_nothing(card, tmp_path):
    with pytest.raises(ModelFileError, match="cannot read"):
        load_model(tmp_path / "absent.json", "cpu")
    with pytest.raises(ModelFileError):
        load_model(tmp_path, "cpu")
    card.write_text("")
    with pytest.raises(ModelFileError, match="not a model card"):
        load_model(card, "cpu")


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=8), x, max_size=3),
    max_leaves=12,
)


@given(st.binary(max_size=200), json_values)
def test_random_bytes_and_json_only_ever_raise_model_file_errors(tmp_path_factory, data, value):
    folder = tmp_path_factory.mktemp("random")
    for text in (data, json.dumps(value).encode()):
        path = folder / "m.json"
        path.write_bytes(text)
        path.with_suffix(".safetensors").write_bytes(data)
        with pytest.raises(ModelFileError):
            load_model(path, "cpu")


@given(
    st.sampled_from(
        sorted(json.loads(Path(ngs_nhcsr.__file__).parent.joinpath("weights/basis-hybrid.json").read_text()))
    ),
    json_values,
)
def test_any_field_replaced_by_anything_is_refused(tmp_path_factory, name, value):
    source = Path(ngs_nhcsr.__file__).parent / "weights" / "basis-hybrid.json"
    fields = json.loads(source.read_text())
    if value == fields[name]:
        return
    path = tmp_path_factory.mktemp("forged") / "m.json"
    path.write_text(json.dumps({**fields, name: value}))
    path.with_suffix(".safetensors").write_bytes(source.with_suffix(".safetensors").read_bytes())
    with pytest.raises(ModelFileError):
        load_model(path, "cpu")


def test_no_pickle_anywhere():
    root = Path(ngs_nhcsr.__file__).parent
    folders = {root, *(Path(m.__file__).parent for m in (ngs_nhcsr.solvers, ngs_nhcsr.training))}
    forbidden = re.compile(r"\btorch\.load\b|\bpickle\.|import pickle|allow_pickle=True")
    for folder in folders:
        for path in folder.rglob("*.py"):
            assert not forbidden.search(path.read_text()), path


def test_golden_output_of_the_shipped_model():
    """The shipped weights give what they gave when they were shipped (float32 tolerance)."""
    from ngs_nhcsr.solvers.bvp import BoundaryValueProblem
    from ngs_nhcsr.solvers.medium import Medium
    from ngs_nhcsr.solvers.space import Space

    golden = np.load(Path(__file__).parent / "data" / "golden_basis_hybrid.npz")
    U, A = golden["U"], golden["A"]
    problem = BoundaryValueProblem(Space((U.shape[0] - 1, U.shape[1] - 1)), Medium(A), None, U)
    out = load_model("basis-hybrid", "cpu").solve(problem, golden["cells"][0] / problem.space.cells[0])
    np.testing.assert_allclose(out, golden["out"], atol=1e-5 * np.abs(golden["out"]).max())


def test_a_former_name_is_taken_with_a_warning():
    with pytest.warns(DeprecationWarning, match="called 'basis-hybrid' now"):
        model = load_model("nhcsr-light", "cpu")
    assert model is load_model("basis-hybrid", "cpu")
    assert "nhcsr-light" not in list_models()
