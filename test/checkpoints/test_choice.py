# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest
import torch
from safetensors.torch import save_file

from yolact_ros.checkpoints import CheckpointError, choose_preset
from yolact_ros.checkpoints.checkpoint import describe_preset
from yolact_ros.checkpoints.fitting import class_count, expected_shapes, fitting_presets
from yolact_ros.presets import get_preset, preset_names, with_classes

OWN = ("screw", "nut", "bolt")


def write(path, preset, described=None):
    """A file with the shapes of a preset's tensors, and with another preset's metadata."""
    state = {name: torch.zeros(()).expand(s) for name, s in expected_shapes(preset).items()}
    if path.suffix == ".pth":
        torch.save(state, path)
    else:
        metadata = {} if described is None else describe_preset(described)
        save_file({name: t.contiguous() for name, t in state.items()}, path, metadata=metadata)
    return path


@pytest.fixture
def own():
    return with_classes(get_preset("yolact_demo"), OWN)


@pytest.mark.slow
def test_the_tensors_show_the_preset_where_they_can():
    same = {"yolact_base", "yolact_im400", "yolact_im700"}
    for name in preset_names():
        fits = fitting_presets(expected_shapes(get_preset(name)))
        assert {fit.preset.name for fit in fits} == (same if name in same else {name})
        assert all(fit.exact for fit in fits)


@pytest.mark.parametrize("name", ["yolact_demo", "yolact_plus_resnet50"])
@pytest.mark.parametrize("count", [1, 3, 200])
def test_the_number_of_classes_shows_in_either_output(name, count):
    preset = with_classes(get_preset(name), [str(i) for i in range(count)])
    shapes = dict(expected_shapes(preset))
    assert class_count(shapes) == count
    del shapes["semantic_seg_conv.weight"]
    assert class_count(shapes) == count
    del shapes["prediction_layers.0.conf_layer.bias"]
    assert class_count(shapes) is None
    assert fitting_presets(shapes) == []


def test_absurd_shapes_fit_nothing():
    name = "semantic_seg_conv.weight"
    for shape in [(), (0,), (10**12, 1)]:
        assert fitting_presets({name: shape}) == []
    head = "prediction_layers.0."
    for boxes, classes in [((), (9,)), ((2,), (9,)), ((12,), (7,)), ((12,), (10**12,))]:
        assert class_count(
            {head + "bbox_layer.bias": boxes, head + "conf_layer.bias": classes}
        ) in (None,)


def test_metadata_are_enough(tmp_path, own):
    assert choose_preset(write(tmp_path / "a.safetensors", own, own)) == own


def test_a_file_without_metadata_needs_no_preset_if_one_alone_fits(tmp_path):
    path = write(tmp_path / "a.pth", get_preset("yolact_demo"))
    assert choose_preset(path) is get_preset("yolact_demo")
    renamed = choose_preset(path, class_names=list("abcdefgh"))
    assert renamed == with_classes(get_preset("yolact_demo"), list("abcdefgh"))


@pytest.mark.slow
def test_own_classes_of_a_pth_file_are_named_by_its_user(tmp_path, own):
    path = write(tmp_path / "a.pth", own)
    assert choose_preset(path, class_names=OWN) == own
    assert choose_preset(path, "yolact_demo", OWN) == own
    with pytest.raises(
        CheckpointError, match=r"fits yolact_demo with 3 classes .*must be given: cla"
    ):
        choose_preset(path)
    with pytest.raises(CheckpointError, match="class_names: expected 3 names for it, got 2"):
        choose_preset(path, class_names=OWN[:2])


def test_a_preset_must_be_chosen_among_those_with_the_same_tensors(tmp_path):
    path = write(tmp_path / "a.pth", get_preset("yolact_im700"))
    with pytest.raises(
        CheckpointError, match=r"yolact_base, yolact_im400 and yolact_im700; they d"
    ):
        choose_preset(path)
    assert choose_preset(path, "yolact_im700") is get_preset("yolact_im700")


def test_what_contradicts_the_metadata_is_refused(tmp_path, own):
    path = write(tmp_path / "a.safetensors", own, own)
    with pytest.raises(CheckpointError) as error:
        choose_preset(path, "yolact_demo")
    assert (
        "was written for yolact_demo (320 pixels, 3 classes), got yolact_demo (320 pixels, 8 cl"
        in (str(error.value))
    )
    assert "differs in class_names, category_ids; without a preset" in str(error.value)
    larger = dataclasses.replace(own, input_size=400, name="larger")
    with pytest.raises(CheckpointError, match="differs in input_size;"):
        choose_preset(path, larger)


def test_what_agrees_with_the_metadata_is_taken(tmp_path, own):
    path = write(tmp_path / "a.safetensors", own, own)
    assert choose_preset(path, own) is own
    assert choose_preset(path, "yolact_demo", OWN) == own
    german = choose_preset(path, class_names=["Schraube", "Mutter", "Bolzen"])
    assert german.class_names == ("Schraube", "Mutter", "Bolzen")
    named = dataclasses.replace(own, name="mine")
    assert choose_preset(path, named) is named


def test_an_unknown_preset_is_refused(tmp_path, own):
    with pytest.raises(ValueError, match="did you mean 'yolact_demo'"):
        choose_preset(write(tmp_path / "a.pth", own), "yolact_dem")
