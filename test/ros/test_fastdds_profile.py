# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from yolact_ros.ros.fastdds_profile import (
    USER_VARIABLES,
    localhost_variables,
    profile_variables,
)


def test_the_shipped_profile_is_named_for_both_versions_of_fast_dds():
    settings = profile_variables({})
    assert len(settings) == 2 and set(settings) < set(USER_VARIABLES)
    [profile] = set(settings.values())
    assert "maxMessageSize" in Path(profile).read_text()


@pytest.mark.parametrize("variable", USER_VARIABLES)
def test_a_user_s_own_choice_is_left_alone(variable):
    assert profile_variables({variable: "something"}) == {}
    assert profile_variables({variable: ""}) != {}


def test_ros_stays_on_this_machine_in_every_distribution():
    assert localhost_variables({"ROS_DISTRO": "humble"}) == {"ROS_LOCALHOST_ONLY": "1"}
    for newer in ({"ROS_DISTRO": "jazzy"}, {}):
        assert localhost_variables(newer) == {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
