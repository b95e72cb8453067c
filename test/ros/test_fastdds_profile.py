# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
from xml.etree import ElementTree

import pytest

from yolact_ros.ros.fastdds_profile import (
    PROFILE_VARIABLES,
    USER_VARIABLES,
    localhost_variables,
    node_profile_variables,
    profile_variables,
)


@pytest.mark.parametrize(
    ("version", "number"), [("6.2.7", 0), ("8.4.3", 0), ("9.3.3", 1), ("10.0.1", 1), (None, 0)]
)
def test_the_shipped_profile_is_named_for_the_fast_dds_that_is_there(
    monkeypatch, tmp_path, version, number
):
    """Of Humble, Jazzy, Kilted and Lyrical; and where Cyclone DDS is alone."""
    folder = tmp_path / "share" / "rmw_fastrtps_shared_cpp"
    marker = tmp_path / "share/ament_index/resource_index/packages/rmw_fastrtps_shared_cpp"
    for file, text in (
        (folder / "package.xml", f'<?xml version="1.0"?><version>{version}</version>'),
        (marker, ""),
    ):
        file.parent.mkdir(parents=True)
        if version:
            file.write_text(text)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    [(name, profile)] = profile_variables({}).items()
    assert name == PROFILE_VARIABLES[number]
    assert profile.endswith("config/fastdds.xml")


def test_the_shipped_profile_is_there():
    [profile] = profile_variables({}).values()
    assert "maxMessageSize" in Path(profile).read_text()


@pytest.mark.parametrize("variable", USER_VARIABLES)
def test_a_user_s_own_choice_is_left_alone(variable):
    assert profile_variables({variable: "something"}) == {}
    assert profile_variables({variable: ""}) != {}


def test_the_node_has_a_profile_of_its_own_unless_the_user_has_one(tmp_path):
    copy, mine = tmp_path / "copy.xml", tmp_path / "mine.xml"
    shipped = profile_variables({})
    [file] = shipped.values()
    copy.write_bytes(Path(file).read_bytes())
    mine.write_text("<profiles/>")
    own = node_profile_variables({})
    assert set(own) == set(shipped) and set(own.values()).isdisjoint(shipped.values())
    assert node_profile_variables(shipped) == own
    for name in PROFILE_VARIABLES:
        given = {name: str(copy)}
        assert node_profile_variables(given) == own | dict.fromkeys(given, *own.values())
    for variable in USER_VARIABLES:
        for value in (mine, tmp_path / "missing.xml"):
            assert node_profile_variables({variable: str(value)}) == {}


def test_the_node_s_profile_differs_in_how_it_sends_alone():
    def parts(variables):
        [file] = set(variables.values())
        return [
            (each.tag.split("}")[1], each.text.strip()) for each in ElementTree.parse(file).iter()
        ]

    own, shipped = parts(node_profile_variables({})), parts(profile_variables({}))
    more = [part for part in own if part not in shipped]
    assert more == [("sendBufferSize", str(2 * 2**20)), ("non_blocking_send", "true")]
    assert [part for part in own if part not in more] == shipped


def test_ros_stays_on_this_machine_in_every_distribution():
    assert localhost_variables({"ROS_DISTRO": "humble"}) == {"ROS_LOCALHOST_ONLY": "1"}
    for newer in ({"ROS_DISTRO": "jazzy"}, {}):
        assert localhost_variables(newer) == {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
