# SPDX-License-Identifier: Apache-2.0
"""The settings that are advised can be typed as they stand."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from yolact_ros.ros.middleware import described, loss_advice, silence_advice

GUIDE = Path(__file__).parents[2] / "docs" / "middleware.md"


def test_each_middleware_has_advice_of_its_own():
    names = ("rmw_fastrtps_cpp", "rmw_cyclonedds_cpp", "rmw_zenoh_cpp")
    for advice in (silence_advice, loss_advice):
        assert len({advice(name) for name in names}) == len(names)
        assert advice("rmw_other") == "see the documentation of rmw_other"


def test_the_profile_of_fast_dds_is_there():
    [path] = re.findall(r"set to (\S+)", loss_advice("rmw_fastrtps_cpp"))
    assert ElementTree.parse(path).getroot().tag.endswith("profiles")


@pytest.mark.parametrize(
    "text",
    [silence_advice("rmw_cyclonedds_cpp"), loss_advice("rmw_cyclonedds_cpp"), GUIDE.read_text()],
    ids=["silence", "loss", "guide"],
)
def test_cyclone_dds_would_start_with_the_buffers(text):
    """A size as text is refused, and so is a `min` that the system does not allow."""
    [uri] = re.findall("CYCLONEDDS_URI='(.*?)'", text)
    [size] = ElementTree.fromstring(uri).findall("./Domain/Internal/SocketReceiveBufferSize")
    assert size.attrib == {"max": "10MB"} and not size.text
    [allowed] = re.findall(r"net\.core\.rmem_max=(\d+)", text)
    assert int(allowed) == 10 << 20


@pytest.mark.parametrize("advice", [silence_advice, loss_advice])
def test_zenoh_would_read_the_setting(advice):
    [setting] = re.findall("ZENOH_CONFIG_OVERRIDE='(.*?)'", advice("rmw_zenoh_cpp"))
    key, value = setting.split("=")
    assert re.fullmatch("[a-z_]+(/[a-z_]+)*", key)
    assert json.loads(value) in (True, "client")
    assert f"ZENOH_CONFIG_OVERRIDE='{setting}'" in GUIDE.read_text()


def test_what_is_not_told_is_said():
    assert described("rmw_cyclonedds_cpp").endswith(", which does not tell of lost images")
    assert described("rmw_fastrtps_cpp") == "rmw_fastrtps_cpp"
