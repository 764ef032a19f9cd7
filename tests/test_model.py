"""A trained network as people take it away: saved, loaded again, asked for predictions."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dashnas.backbones import BACKBONES, PointHead, register_backbone, registry
from dashnas.data import DataSpec, Normaliser, TargetKind
from dashnas.errors import DataError, RunError, UserError
from dashnas.model import FORMAT, Topology, TrainedModel, load_result
from dashnas.space import Architecture, Candidate

KINDS = list(TargetKind)


def spec(kind: TargetKind, dims: int, outputs: int = 3) -> DataSpec:
    named = kind in (TargetKind.CLASSES, TargetKind.DENSE_CLASSES)
    return DataSpec(
        channels=2,
        spatial_shape=(16,) if dims == 1 else (8, 8),
        target_kind=kind,
        outputs=1 if kind is TargetKind.DENSE_BINARY else outputs,
        classes=("ant", "bee", "cat") if named else None,
    )


def normaliser(kind: TargetKind, outputs: int = 3) -> Normaliser:
    targets = {"target_mean": (100.0,) * outputs, "target_std": (5.0,) * outputs} if kind.is_regression else {}
    return Normaliser(input_mean=(0.0, 1.0), input_std=(1.0, 2.0), **targets)


ARCHITECTURES = {
    1: Architecture({"blocks.0.units.0.conv": Candidate(3, 2), "blocks.2.units.2.conv": Candidate(7)}),
    2: Architecture({"stem": Candidate((3, 5), (1, 2))}),
}


def model(kind: TargetKind = TargetKind.CLASSES, dims: int = 1, *, searched: bool = True, outputs: int = 3):
    topology = Topology(backbone="resnet1d" if dims == 1 else "wrn", width=4)
    data = spec(kind, dims, outputs)
    architecture = ARCHITECTURES[dims] if searched else None
    network = topology.build(data, architecture)
    network(torch.randn(8, 2, *data.spatial_shape))  # batch statistics other than the fresh ones
    return TrainedModel(
        network=network.eval(),
        topology=topology,
        architecture=architecture,
        spec=data,
        normaliser=normaliser(kind, outputs),
    )


def inputs(dims: int) -> torch.Tensor:
    shape = (16,) if dims == 1 else (8, 8)
    return torch.randn(7, 2, *shape)


@pytest.mark.parametrize("searched", [True, False], ids=["searched", "backbone"])
@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_comes_back_as_it_was_and_predicts_the_same(kind, dims, searched, tmp_path):
    saved = model(kind, dims, searched=searched)
    saved.save(tmp_path)
    loaded = TrainedModel.load(tmp_path)
    for name in ("topology", "architecture", "spec", "normaliser", "impute"):
        assert getattr(loaded, name) == getattr(saved, name), name
    torch.testing.assert_close(loaded.network.state_dict(), saved.network.state_dict(), rtol=0, atol=0)
    x = inputs(dims)
    before, after = saved.predict(x), loaded.predict(x)
    assert set(before) == set(after)
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


def test_layers_that_share_their_weights_are_saved_too(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "BACKBONES", {**BACKBONES})
    monkeypatch.setattr("dashnas.model.BACKBONES", registry.BACKBONES)

    @register_backbone("mine", spatial_dims=1, default_width=3)
    def build(spec, *, width, dropout, official, for_search):
        network = nn.Sequential(*(nn.Conv1d(2, 2, 3, padding=1) for _ in range(2)), PointHead(2, 3))
        network[1].weight = network[0].weight
        return network

    topology = Topology(backbone="mine")
    saved = replace(model(), network=topology.build(spec(TargetKind.CLASSES, 1)), topology=topology, architecture=None)
    saved.save(tmp_path)
    network = TrainedModel.load(tmp_path).network
    assert network[1].weight is network[0].weight
    torch.testing.assert_close(network.state_dict(), saved.network.state_dict(), rtol=0, atol=0)


SHAPES = [
    # kind, outputs; shapes of 7 answers in 1-D
    (TargetKind.CLASSES, 3, {"label": (7,), "probability": (7, 3)}),
    (TargetKind.MULTI_LABEL, 3, {"label": (7, 3), "probability": (7, 3)}),
    (TargetKind.REGRESSION, 1, {"prediction": (7,)}),
    (TargetKind.REGRESSION, 3, {"prediction": (7, 3)}),
    (TargetKind.DENSE_BINARY, 1, {"label": (7, 16), "probability": (7, 16)}),
    (TargetKind.DENSE_CLASSES, 3, {"label": (7, 16), "probability": (7, 3, 16)}),
    (TargetKind.DENSE_REGRESSION, 1, {"prediction": (7, 16)}),
    (TargetKind.DENSE_REGRESSION, 3, {"prediction": (7, 3, 16)}),
]


@pytest.mark.parametrize(("kind", "outputs", "shapes"), SHAPES)
def test_answers_are_in_the_user_s_own_terms(kind, outputs, shapes):
    made = model(kind, outputs=outputs)
    x = inputs(1)
    answers = made.predict(x)
    assert {name: a.shape for name, a in answers.items()} == shapes
    logits = made.network(made.normaliser.encode_input(x)).detach()
    if kind.is_regression:
        expected = (100 + 5 * logits.double()).numpy()
        np.testing.assert_allclose(answers["prediction"].ravel(), expected.ravel(), rtol=1e-6)
    elif kind in (TargetKind.CLASSES, TargetKind.DENSE_CLASSES):
        np.testing.assert_allclose(answers["probability"], logits.softmax(dim=1), rtol=1e-5)
        np.testing.assert_array_equal(answers["label"], np.array(["ant", "bee", "cat"])[logits.argmax(dim=1)])
    else:
        probability = logits.sigmoid().numpy()
        probability = probability[:, 0] if kind is TargetKind.DENSE_BINARY else probability
        np.testing.assert_allclose(answers["probability"], probability, rtol=1e-5)
        np.testing.assert_array_equal(answers["label"], probability > 0.5)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_answers_do_not_depend_on_how_many_are_given_at_a_time(batch_size):
    made, x = model(), inputs(1)
    expected = made.network(made.normaliser.encode_input(x)).detach().softmax(dim=1)
    np.testing.assert_allclose(made.predict(x, batch_size=batch_size)["probability"], expected, rtol=1e-5)


@pytest.mark.parametrize("imputed", [True, False])
def test_a_model_that_imputed_in_training_does_so_afterwards(imputed, tmp_path):
    replace(model(), impute=imputed).save(tmp_path)
    x = inputs(1)
    x[2, 1, 3] = torch.nan
    loaded = TrainedModel.load(tmp_path)
    if not imputed:
        with pytest.raises(DataError, match="x holds 1 value that is NaN or infinite"):
            loaded.predict(x)
    filled = torch.where(x.isnan(), 1.0, x)  # the training mean of that channel
    expected = loaded.predict(filled)["probability"]
    np.testing.assert_array_equal(loaded.predict(x, impute=not imputed)["probability"], expected)


def test_loading_draws_no_random_numbers(tmp_path):
    model().save(tmp_path)
    state = torch.get_rng_state()
    assert not TrainedModel.load(tmp_path).network.training
    assert torch.equal(torch.get_rng_state(), state)


@pytest.fixture
def saved(tmp_path):
    model().save(tmp_path)
    return tmp_path


def test_weights_that_are_missing_are_said_to_be(saved):
    (saved / "model.safetensors").unlink()
    with pytest.raises(RunError, match=r"has no model\.safetensors; has the run been finished\?"):
        TrainedModel.load(saved)


def flip(content: bytes) -> bytes:
    """Other bytes in the header, where names and places of the tensors are."""
    return content[:20] + bytes(255 - b for b in content[20:60]) + content[60:]


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:-1], lambda b: b"", flip])
def test_weights_that_are_damaged_are_refused(damage, saved):
    path = saved / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RunError, match=r"model\.safetensors is damaged or does not belong to .*config\.json"):
        TrainedModel.load(saved)


def test_weights_of_another_network_are_refused(saved, tmp_path):
    model(searched=False).save(tmp_path / "other")
    (tmp_path / "other" / "model.safetensors").replace(saved / "model.safetensors")
    with pytest.raises(RunError, match=r"does not belong to .*config\.json"):
        TrainedModel.load(saved)


def rewrite(folder, **changes):
    path = folder / "config.json"
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({n: v for n, v in content.items() if v != "gone"}))


def test_a_model_of_a_later_version_is_refused(saved):
    rewrite(saved, format=FORMAT + 1, dashnas="9.9")
    with pytest.raises(RunError, match=r"was saved by a later dashnas \(9\.9\); upgrade to read it"):
        TrainedModel.load(saved)


def test_a_model_of_before_there_were_ensembles_is_read(saved):
    rewrite(saved, members="gone")
    assert TrainedModel.load(saved).members == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"data": "gone"},
        {"format": "one"},
        {"normaliser": {}},
        {"architecture": {"a": 3}},
        {"data": {"classes": None}},
        {"members": 3},
        {"members": [{}]},
        {"members": ["derived"]},
        {"width": "4"},
    ],
)
def test_a_damaged_description_is_refused(changes, saved):
    rewrite(saved, **changes)
    with pytest.raises(RunError, match=r"config\.json is damaged"):
        TrainedModel.load(saved)


@pytest.mark.parametrize(("text", "message"), [("{", r"config\.json is damaged"), ("[]", r"config\.json is damaged")])
def test_a_description_that_is_none_is_refused(text, message, saved):
    (saved / "config.json").write_text(text)
    with pytest.raises(RunError, match=message):
        TrainedModel.load(saved)


def test_an_unknown_backbone_is_refused(saved):
    rewrite(saved, backbone="resnet2d")
    with pytest.raises(UserError, match="backbone 'resnet2d', which is not registered here; import first what"):
        TrainedModel.load(saved)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"cannot read .*config\.json: No such file or directory"):
        TrainedModel.load(tmp_path)


def test_the_result_of_a_run_that_is_none_or_not_finished(tmp_path):
    with pytest.raises(RunError, match=r"is not a run of dashnas fit \(it has no run\.json\)"):
        load_result(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(RunError, match="is not finished; give its dashnas fit command again to go on"):
        load_result(tmp_path)
    (tmp_path / "result.json").write_text('{"format": 1}')
    assert load_result(tmp_path) == {"format": 1}
