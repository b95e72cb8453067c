# SPDX-License-Identifier: Apache-2.0
import dataclasses
from array import array
from pathlib import Path

import pytest
import yaml

from yolact_ros.ros.demo.camera import PARAMETERS as CAMERA_PARAMETERS
from yolact_ros.ros.parameters.reading import check_all, markdown
from yolact_ros.ros.parameters.spec import (
    BOOLEAN,
    FLOAT,
    FLOATS,
    INTEGER,
    INTEGERS,
    STRING,
    STRINGS,
    ParameterError,
    ParameterSpec,
)
from yolact_ros.ros.parameters.table import PARAMETERS, Settings, camera_parameters

ROOT = Path(__file__).parents[3]
SPECS = {spec.name: spec for spec in PARAMETERS}


def flatten(tree, prefix=""):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@pytest.mark.parametrize("table", [PARAMETERS, CAMERA_PARAMETERS], ids=["yolact", "demo_camera"])
def test_defaults_are_allowed_and_described(table):
    assert len({spec.name for spec in table}) == len(table)
    for spec in table:
        assert spec.check(spec.default) == spec.default
        assert spec.description.endswith(".")
        assert spec.descriptor().dynamic_typing


def test_file_of_parameters_has_every_parameter_with_its_default():
    tree = yaml.safe_load((ROOT / "config" / "yolact.yaml").read_text())
    [(node, content)] = tree.items()
    assert node == "/**" and list(content) == ["ros__parameters"]
    values = dict(flatten(content["ros__parameters"]))
    assert list(values) == list(SPECS)
    assert check_all(values, PARAMETERS) == {spec.name: spec.default for spec in PARAMETERS}


def test_the_guide_has_the_table():
    guide = (ROOT / "docs" / "parameters.md").read_text()
    begin, end = "<!-- parameters -->", "<!-- /parameters -->"
    assert begin in guide and end in guide
    shown = guide.split(begin)[1].split(end)[0].strip()
    assert shown == markdown(PARAMETERS)


def test_settings_have_a_field_for_each_parameter():
    fields = [field.name for field in dataclasses.fields(Settings) if field.metadata]
    assert fields == [name.replace(".", "_") for name in SPECS]
    settings = Settings.from_values({spec.name: spec.default for spec in PARAMETERS})
    assert settings.overlay_opacity == SPECS["overlay.opacity"].default


def test_a_camera_has_its_own_region_or_that_of_all():
    settings = Settings().changed({"roi": (1, 2, 3, 4), "ignore_mask": "/all.png"})
    assert settings.roi_of("front") == (1, 2, 3, 4)
    assert settings.ignore_mask_of("front") == ("ignore_mask", "/all.png")
    own = settings.changed({"front.roi": (5, 6, 7, 8), "front.ignore_mask": "/front.png"})
    own = own.changed({"rear.roi": (0, 0, 0, 0), "max_rate": 2.0})
    assert (own.roi_of("front"), own.roi_of("rear")) == ((5, 6, 7, 8), (1, 2, 3, 4))
    assert own.ignore_mask_of("front") == ("front.ignore_mask", "/front.png")
    assert own.ignore_mask_of("rear") == ("ignore_mask", "/all.png")
    assert [spec.name for spec in camera_parameters(["a", "b"])] == [
        *("a.roi", "a.ignore_mask", "b.roi", "b.ignore_mask"),
    ]


@pytest.mark.parametrize(
    "kind, value, checked",
    [
        (FLOAT, 1, 1.0),
        (FLOAT, 0.25, 0.25),
        (INTEGER, 3, 3),
        (BOOLEAN, False, False),
        (STRING, "x", "x"),
        (STRING, None, ""),
        (STRING, "null", ""),
        (STRING, "~", ""),
        (STRING, 123, "123"),
        (STRINGS, None, ()),
        (STRINGS, "null", ()),
        (STRINGS, [], ()),
        (STRINGS, b"", ()),
        (STRINGS, [""], ()),
        (STRINGS, ["a", "b"], ("a", "b")),
        (FLOATS, array("d", [0.5, 1]), (0.5, 1.0)),
        (FLOATS, [0, -1], (0.0, -1.0)),
        (INTEGERS, array("q", [0, -1]), (0, -1)),
    ],
)
def test_values_are_taken(kind, value, checked):
    result = ParameterSpec(name="p", kind=kind, default=None, description="").check(value)
    assert result == checked and type(result) is type(checked)


@pytest.mark.parametrize(
    "kind, value",
    [
        (FLOAT, "1"),
        (FLOAT, True),
        (FLOAT, None),
        (FLOAT, float("nan")),
        (INTEGER, 1.0),
        (INTEGER, True),
        (BOOLEAN, 1),
        (BOOLEAN, "true"),
        (STRING, 5.0),
        (STRING, True),
        (STRINGS, "a"),
        (STRINGS, [1, 2]),
        (STRINGS, 7),
        (FLOATS, None),
        (FLOATS, "0 1 0"),
        (FLOATS, [True]),
        (FLOATS, ["0"]),
        (FLOATS, 1.0),
        (INTEGERS, None),
        (INTEGERS, [1.0]),
        (INTEGERS, [True]),
        (INTEGERS, "1,2"),
    ],
)
def test_values_of_another_type_are_refused(kind, value):
    with pytest.raises(ParameterError, match=r"^p: expected .*, got "):
        ParameterSpec(name="p", kind=kind, default=None, description="").check(value)


@pytest.mark.parametrize(
    "name, value, text",
    [
        ("score_threshold", -0.1, r"a number from 0 to 1, got -0.1 \(float\)"),
        ("score_threshold", 2, r"a number from 0 to 1, got 2 \(integer\)"),
        ("roi", [0, 0, 10], r"x, y, width and height, or four zeros, got \[0, 0, 10\]"),
        ("roi", [0, 0, 10, 0], r"x, y, width and height, or four zeros, got \[0, 0, 10, 0\]"),
        ("roi", [-1, 0, 10, 10], r"x, y, width and height, or four zeros, got \[-1, 0, 10, 10\]"),
        ("max_instances", 0, r"an integer from 1 to 1000, got 0 \(integer\)"),
        ("preset", "yolact", r"nothing, or one of .*yolact_base.*, got 'yolact' \(string\)"),
        ("preset", 550, r"nothing, or one of .*yolact_base.*, got 550 \(integer\)"),
        ("device", "gpu", r"auto, cpu, cuda or cuda:N \(.*\), got 'gpu' \(string\)"),
        ("device", 0, r"auto, .* or cuda:N \(cuda:0 is the first GPU\), got 0 \(integer\)"),
        ("weights", 1e5, r"a path, .*, got 100000.0 \(float\); put text .* in quotes"),
        ("nms", "", r"one of fast, cross_class, exact, got '' \(string\)"),
        ("nms", "null", r"one of fast, cross_class, exact, got 'null' \(string\)"),
        ("classes", [3], r"a list of class names, got \[3\]; put text .* in quotes"),
        (
            "classes",
            [True, False],
            r"a list .*, got \[True, False\]; put .* true or false in quotes",
        ),
        ("classes", "a, b", r"a list .*, got 'a, b' \(string\); write \[a, b\]"),
        ("cameras", ["front", "front"], r"a list of different names .*, got \['front', 'front'\]"),
        ("cameras", ["a/b"], r"a list of different names of letters, digits and _ .*'a/b'\]"),
        ("cameras", ["2nd"], r"a list of .* that begin with no digit, got \['2nd'\]"),
        ("batch_wait", -1, r"a number from 0 to 10, got -1 \(integer\)"),
        ("depth_transport", "compressed", r"one of raw, compressedDepth, got 'compressed' .*"),
        ("space.max_skew", -0.02, r"a number from 0 to 10, got -0.02 \(float\)"),
        ("space.up", [0.0, -1.0], r"three numbers, got \[0.0, -1.0\]"),
        ("space.up", [0.0, float("nan"), 0.0], r"three numbers, got \[0.0, nan, 0.0\]"),
        ("space.up", [1e-9, 0.0, 0.0], r"three numbers, got \[1e-09, 0.0, 0.0\]"),
    ],
)
def test_refusals_name_the_parameter_the_range_and_the_value(name, value, text):
    with pytest.raises(ParameterError, match=f"^{name}: expected {text}$"):
        SPECS[name].check(value)


def test_paths_are_those_of_files_that_will_be_read(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "robot"))
    monkeypatch.chdir(tmp_path)
    weights = SPECS["weights"]
    assert weights.check("~/x.pth") == str(tmp_path / "robot" / "x.pth")
    assert weights.check("run/x.pth") == str(tmp_path / "run" / "x.pth")
    assert weights.check("/x.pth") == "/x.pth"
    assert weights.check(7) == str(tmp_path / "7")
    assert weights.check("") == weights.check("~") == ""


@pytest.mark.parametrize(
    "name, field, bounds",
    [
        ("score_threshold", "floating_point_range", (0.0, 1.0)),
        ("max_instances", "integer_range", (1, 1000)),
        ("max_image_pixels", "integer_range", (1, 2**63 - 1)),
    ],
)
def test_ranges_are_shown_but_not_told_to_rclpy(name, field, bounds):
    [shown] = getattr(SPECS[name].shown_descriptor(), field)
    assert (shown.from_value, shown.to_value) == bounds
    assert not getattr(SPECS[name].descriptor(), field)


def test_descriptors_say_when_a_parameter_may_change():
    shown = {spec.name: spec.shown_descriptor() for spec in (*PARAMETERS, *CAMERA_PARAMETERS)}
    assert shown["score_threshold"].additional_constraints == "a number from 0 to 1"
    assert shown["nms"].additional_constraints == "one of fast, cross_class, exact"
    assert shown["preset"].additional_constraints.endswith("; only while the node is unconfigured")
    assert shown["rate"].additional_constraints.endswith("; only at the start")
    assert {name for name, descriptor in shown.items() if descriptor.read_only} == {
        spec.name for spec in CAMERA_PARAMETERS
    }


def test_all_problems_are_named_together():
    values = {spec.name: spec.default for spec in PARAMETERS} | {"nms_iou": 7, "device": "x"}
    with pytest.raises(ParameterError, match=r"device: expected .*; nms_iou: expected "):
        check_all(values, PARAMETERS)


def test_markdown():
    spec = ParameterSpec(
        name="a.b", kind=STRINGS, default=(), description="What it does.", at_run_time=True
    )
    last = markdown([spec]).splitlines()[-1]
    assert last == "| `a.b` | string array | `['']` | a list of strings | yes | What it does. |"
