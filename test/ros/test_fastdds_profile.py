# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from yolact_ros.ros.fastdds_profile import TRANSPORT_VARIABLES, transport_settings


def test_the_shipped_profile_is_named_for_both_versions_of_fast_dds():
    settings = transport_settings({})
    assert len(settings) == 2 and set(settings) < set(TRANSPORT_VARIABLES)
    [profile] = set(settings.values())
    assert "maxMessageSize" in Path(profile).read_text()


@pytest.mark.parametrize("variable", TRANSPORT_VARIABLES)
def test_a_user_s_own_choice_is_left_alone(variable):
    assert transport_settings({variable: "something"}) == {}
    assert transport_settings({variable: ""}) != {}
