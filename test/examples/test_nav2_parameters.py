# SPDX-License-Identifier: Apache-2.0
"""The parameters for Nav2 exist there, have the right types, and name what our node publishes."""

import pytest
from sensor_msgs.msg import Image, PointCloud2

from yolact_ros.presets import COCO_CLASSES
from yolact_ros.ros.outputs import _OUTPUTS, _SPACE_OUTPUTS
from yolact_testing.examples import EXAMPLES

yaml = pytest.importorskip("yaml")

SEMANTIC_LAYER = {
    "plugin": str,
    "enabled": bool,
    "combination_method": int,
    "observation_sources": str,
    "publish_debug_topics": bool,
    "use_approximate_time_sync": bool,
}
SEMANTIC_SOURCE = {
    "segmentation_topic": str,
    "confidence_topic": str,
    "labels_topic": str,
    "pointcloud_topic": str,
    "observation_persistence": float,
    "expected_update_rate": float,
    "class_types": list,
    "max_obstacle_distance": float,
    "min_obstacle_distance": float,
    "tile_map_decay_time": float,
    "visualize_tile_map": bool,
    "use_cost_selection": bool,
}
SEMANTIC_CLASS_TYPE = {
    "classes": list,
    "base_cost": int,
    "max_cost": int,
    "mark_confidence": int,
    "samples_to_max_cost": int,
    "dominant_priority": bool,
}
"""What github.com/kiwicampus/semantic_segmentation_layer declares in onInitialize of
src/semantic_segmentation_layer.cpp: branch jazzy, commit 274c713b, and the same in rolling, commit
a70cf6ec; humble, commit ed010950, has no use_approximate_time_sync."""

OBSTACLE_LAYER = {
    "plugin": str,
    "enabled": bool,
    "footprint_clearing_enabled": bool,
    "min_obstacle_height": float,
    "max_obstacle_height": float,
    "combination_method": int,
    "observation_sources": str,
}
OBSTACLE_SOURCE = {
    "topic": str,
    "sensor_frame": str,
    "observation_persistence": float,
    "expected_update_rate": float,
    "data_type": str,
    "min_obstacle_height": float,
    "max_obstacle_height": float,
    "inf_is_valid": bool,
    "marking": bool,
    "clearing": bool,
    "obstacle_max_range": float,
    "obstacle_min_range": float,
    "raytrace_max_range": float,
    "raytrace_min_range": float,
}
"""What github.com/ros-navigation/navigation2 declares in onInitialize of
nav2_costmap_2d/plugins/obstacle_layer.cpp: branch jazzy, commit f4108e5b."""


def layer_of(file, name):
    text = (EXAMPLES / file).read_text()
    parameters = yaml.safe_load(text)["local_costmap"]["local_costmap"]["ros__parameters"]
    assert name in parameters["plugins"]
    return parameters[name]


def check(values, types, *own):
    """That all names but our own have a value of the type that is declared."""
    for name, value in values.items():
        if name in own:
            continue
        assert name in types, f"{name} is not a parameter"
        # a float parameter refuses an integer, and bool is a kind of int in Python
        assert type(value) is types[name], f"{name}: {value!r} is no {types[name].__name__}"


def test_the_semantic_layer_has_these_parameters():
    layer = layer_of("nav2_semantic_layer.yaml", "semantic_layer")
    assert layer["plugin"] == "semantic_segmentation_layer::SemanticSegmentationLayer"
    sources = layer["observation_sources"].split()
    check(layer, SEMANTIC_LAYER, *sources)
    for source in (layer[name] for name in sources):
        check(source, SEMANTIC_SOURCE, *source["class_types"])
        for values in (source[name] for name in source["class_types"]):
            check(values, SEMANTIC_CLASS_TYPE)
            assert set(values) == set(SEMANTIC_CLASS_TYPE)
            for name in ("base_cost", "max_cost", "mark_confidence"):  # uint8 there
                assert 0 <= values[name] <= 255


def test_the_semantic_layer_listens_to_what_the_node_publishes():
    """All that it requires, and the confidence that it takes on request."""
    source = layer_of("nav2_semantic_layer.yaml", "semantic_layer")["camera"]
    published = {f"/yolact/{output.topic}": output.type for output in _OUTPUTS + _SPACE_OUTPUTS}
    assert published[source["segmentation_topic"]] is Image
    assert published[source["confidence_topic"]] is Image
    assert published[source["pointcloud_topic"]] is PointCloud2
    assert source["labels_topic"] == "/yolact/label_info"  # test/ros/test_examples.py: its type


def test_the_semantic_layer_knows_each_class_once():
    """It refuses those that it does not know, and takes the first of two."""
    source = layer_of("nav2_semantic_layer.yaml", "semantic_layer")["camera"]
    named = [name for group in source["class_types"] for name in source[group]["classes"]]
    assert sorted(named) == sorted(COCO_CLASSES)


def test_no_instance_loses_its_cell_to_the_background():
    """The background has no cost there: what has none either would lose to the first pixel."""
    source = layer_of("nav2_semantic_layer.yaml", "semantic_layer")["camera"]
    assert source["use_cost_selection"]
    assert all(source[group]["max_cost"] > 0 for group in source["class_types"])


def test_the_obstacle_layer_has_these_parameters():
    layer = layer_of("nav2_obstacle_layer.yaml", "obstacle_layer")
    assert layer["plugin"] == "nav2_costmap_2d::ObstacleLayer"
    sources = layer["observation_sources"].split()
    check(layer, OBSTACLE_LAYER, *sources)
    for source in (layer[name] for name in sources):
        check(source, OBSTACLE_SOURCE)
        # the default of 0.0 m would leave nothing
        assert source["max_obstacle_height"] > 0
    assert layer["objects"]["data_type"] == "PointCloud2"
    assert layer["objects"]["marking"] and not layer["objects"]["clearing"]
    # what clears
    assert any(layer[name]["clearing"] for name in sources)
