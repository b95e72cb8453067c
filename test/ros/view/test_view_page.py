# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros view` on a real node, in a real browser."""

import re
import sys
import urllib.request

import pytest
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter

from yolact_testing.browser import chromium

pytestmark = pytest.mark.timeout(240)

OVERLAY, OBJECTS = "/yolact/overlay/compressed", "/yolact/objects"
PICTURE = """() => {
  const canvas = document.querySelector("canvas");
  if (!canvas?.drawn) return false;
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return new Set(pixels).size > 50 && canvas.width === 320 && canvas.height === 240;
}"""
PLACE = r"""() => [...document.querySelectorAll("td:nth-child(4)")].some(
  (cell) => /^-?\d+\.\d\d\s-?\d+\.\d\d\s\d+\.\d\d$/.test(cell.textContent)
)"""
SEGMENTED = """() => {
  const terms = [...document.querySelectorAll("#counts dt")];
  const term = terms.find((each) => each.textContent.includes("segmented and published"));
  return Number(term?.nextElementSibling.textContent ?? 0);
}"""


@pytest.fixture
def page():
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(60_000)
        errors = []
        page.on("pageerror", lambda error: errors.append(error))
        page.on("console", lambda line: line.type == "error" and errors.append(line.text))
        yield page
        # while the node is away, nothing else is; a line of the console would be a fault of ours
        assert errors == []


def address_in(program):
    return re.search(r"open (http\S+)", program.wait_for("^watching /yolact: open http"))[1]


def test_the_page_shows_the_node_changes_it_and_finds_it_again(
    start, start_command, peer, weights, page
):
    def start_node():
        return start("yolact_node", score_threshold=0.3, device="cpu", precision="fp32", **weights)

    def value(name):
        return peer.call(GetParameters, "/yolact/get_parameters", names=[name]).values[0]

    def subscribers(topic):
        peer.spin(0.05)
        return peer.node.count_subscribers(topic)

    start("demo_camera", width=320, height=240, rate=8.0)
    node = start_node()
    command = [sys.executable, "-m", "yolact_ros.cli.main", "view", "--port", "0"]
    address = address_in(start_command([*command, "--allow-changes"]))
    node.wait_for("active: segmenting")
    assert subscribers(OVERLAY) == subscribers(OBJECTS) == 0  # nobody looks

    page.goto(address)
    page.wait_for_function(PICTURE)
    assert subscribers(OVERLAY) == 1
    page.wait_for_function(PLACE)
    page.wait_for_function("() => document.querySelector('#cause').textContent === 'segmenting'")
    first = page.evaluate(SEGMENTED)
    page.wait_for_function(f"() => ({SEGMENTED})() > {first} + 5")
    assert page.locator(".stage", has_text="network").count() == 1

    # a control changes the node, and the node the control; what it refuses, it says
    threshold = page.locator("[id='parameter-score_threshold'] + input")
    threshold.fill("1")
    threshold.press("Enter")
    peer.until(lambda: value("score_threshold").double_value == 1.0, what="the change")
    page.wait_for_function("() => document.querySelector('tbody').textContent === 'nothing found'")
    pixels = page.locator("[id='parameter-max_image_pixels']")
    pixels.fill("0")
    pixels.press("Enter")
    page.get_by_text("max_image_pixels: expected an integer of at least 1, got 0").wait_for()
    changed = Parameter("nms", value="exact").to_parameter_msg()
    peer.call(SetParameters, "/yolact/set_parameters", parameters=[changed])
    page.wait_for_function("() => document.getElementById('parameter-nms').value === 'exact'")
    assert page.locator("[id='parameter-preset']").count() == 0  # not at run time

    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("canvas").bounding_box()["width"] > 300
    threshold.scroll_into_view_if_needed()
    box = threshold.bounding_box()
    assert box["height"] >= 28 and box["x"] + box["width"] <= 360

    # the node is killed, and another one comes
    node.process.kill()
    page.wait_for_function("() => document.querySelector('#cause').textContent.includes('no sign')")
    start_node()
    page.wait_for_function("() => document.querySelector('#cause').textContent === 'segmenting'")
    page.wait_for_function(f"() => ({SEGMENTED})() > 3 && ({PICTURE})()")
    page.wait_for_function("() => document.querySelector('.stale').textContent === ''")
    page.wait_for_function(
        "() => document.getElementById('parameter-score_threshold').value === '0.3'"
    )
    page.goto("about:blank")
    peer.until(lambda: subscribers(OVERLAY) == 0, what="the end of the subscription")
    assert subscribers(OBJECTS) == 0


def test_the_demo_is_shown_until_ctrl_c(start, tmp_path):
    demo = start("yolact_ros.ros.demo", "--view", "--output", tmp_path / "overlay.png")
    with urllib.request.urlopen(address_in(demo).partition("#")[0], timeout=30) as page:
        assert b"page.js" in page.read()
    assert demo.interrupt()[0] == 0 and "failed" not in demo.output
