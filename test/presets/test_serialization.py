# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolact_ros.presets import (
    DarkNetSpec,
    Normalization,
    Preset,
    Published,
    ResNetSpec,
    TorchvisionSpec,
    get_preset,
    preset_from_json,
    preset_names,
    preset_to_json,
    with_backbone,
    with_classes,
)

counts = st.integers(0, 9)
positive = st.floats(0.01, 1e6) | st.integers(1, 2000)
numbers = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(min_size=1, max_size=8).filter(str.strip)


def triples(items):
    return st.tuples(items, items, items)


backbones = (
    st.builds(
        ResNetSpec,
        block=st.sampled_from(["basic", "bottleneck"]),
        blocks=st.tuples(counts, counts, counts, counts),
        width=st.integers(1, 99),
        deformable_interval=counts,
    )
    | st.builds(DarkNetSpec, blocks=st.tuples(counts, counts, counts, counts, counts))
    | st.builds(TorchvisionSpec, name=names)
)
prior_sizes = st.integers(1, 3).flatmap(
    lambda count: st.lists(
        st.lists(positive, min_size=count, max_size=count).map(tuple), min_size=3, max_size=6
    ).map(tuple)
)
presets = st.builds(
    Preset,
    name=names,
    class_names=st.lists(names, min_size=1, max_size=5, unique=True).map(tuple),
    backbone=backbones,
    input_size=st.integers(1, 2000),
    prior_sizes=prior_sizes,
    aspect_ratios=st.lists(positive, min_size=1, max_size=4).map(tuple),
    square_priors=st.booleans(),
    fpn_channels=st.integers(1, 999),
    prototypes=st.integers(1, 99),
    head_convolutions=counts,
    protonet_convolutions=counts,
    mask_iou=st.booleans(),
    normalization=st.builds(Normalization, mean=triples(numbers), std=triples(positive)),
    published=st.none() | st.builds(Published, mask_ap=st.none() | numbers, source=st.text()),
)


@pytest.mark.slow
@given(presets)
def test_any_preset_comes_back(preset):
    assert preset_from_json(preset_to_json(preset)) == preset


@pytest.mark.parametrize("name", preset_names())
def test_the_registered_presets_come_back_as_they_are_and_changed(name):
    preset = get_preset(name)
    changed = with_backbone(with_classes(preset, ["a", "b"]), "torchvision:mobilenet_v3_large")
    for one in (preset, changed):
        text = preset_to_json(one)
        assert "\n" not in text
        assert preset_from_json(text) == one


def test_fields_that_are_left_out_take_their_defaults():
    text = '{"name": "n", "class_names": ["a"], "backbone": {"kind": "darknet"}}'
    assert preset_from_json(text) == Preset("n", ("a",), DarkNetSpec())


def document(**changes):
    value = {"name": "n", "class_names": ["a"], "backbone": {"kind": "darknet"}, **changes}
    return json.dumps({name: item for name, item in value.items() if item is not ...})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "preset: expected JSON"),
        ("[" * 100_000, "preset: expected JSON"),
        ("[]", r"preset: expected an object, got \[\]"),
        (document(anchors=3, zoom=1), "preset: unknown fields anchors, zoom; a later version"),
        (document(name=...), "preset: missing fields name"),
        (document(name=3), "preset.name: expected str, got 3"),
        (document(class_names="ab"), 'preset.class_names: expected a list, got "ab"'),
        (document(class_names=["a", None]), r"preset.class_names\[1\]: expected str, got null"),
        (document(class_names=[]), "class_names: expected one or more different names"),
        (document(class_names=["a", "a"]), "class_names: expected one or more different names"),
        (document(class_names=["a", " "]), "class_names: expected no empty name"),
        (document(input_size=True), "preset.input_size: expected int, got true"),
        (document(input_size=550.0), "preset.input_size: expected int, got 550.0"),
        (document(input_size=0), "input_size: expected 1 or more, got 0"),
        (document(mask_iou=1), "preset.mask_iou: expected bool, got 1"),
        (document(aspect_ratios=[float("nan")]), r"aspect_ratios\[0\]: expected finite number"),
        (document(aspect_ratios=[10**400]), r"aspect_ratios\[0\]: expected finite number"),
        (document(aspect_ratios=[0]), "aspect_ratios: expected positive ones"),
        (document(prior_sizes=[[1]]), "prior_sizes: expected the same number of sizes"),
        (document(prior_sizes=[[1], [2], [-3]]), "prior_sizes: expected positive sizes"),
        (document(normalization={"mean": [1, 2]}), "normalization.mean: expected 3 items, got 2"),
        (document(normalization=None), "preset.normalization: expected an object, got null"),
        (document(normalization={"std": [0, 1, 1]}), "normalization.std: expected positive"),
        (document(backbone={"kind": "vgg"}), 'preset.backbone: expected an object with "kind"'),
        (document(backbone={"kind": []}), 'preset.backbone: expected an object with "kind"'),
        (document(backbone="darknet"), 'preset.backbone: expected an object with "kind"'),
        (document(backbone={"kind": "resnet"}), "preset.backbone: missing fields block, blocks"),
        (document(published={"mask_ap": "30"}), 'published.mask_ap: expected finite number, got "'),
    ],
)
def test_what_is_no_preset_is_refused_with_the_field(text, message):
    with pytest.raises(ValueError, match=message):
        preset_from_json(text)


def test_own_classes_replace_the_authors_figures_and_ids():
    base = get_preset("yolact_base")
    own = with_classes(base, ["screw", "nut"])
    assert own == dataclasses.replace(
        base, class_names=("screw", "nut"), category_ids=(1, 2), published=None
    )
    assert with_classes(base, list(base.class_names)) is base
    for names_ in ([], [""], ["a", "a"]):
        with pytest.raises(ValueError, match="class_names: expected"):
            with_classes(base, names_)
