# SPDX-License-Identifier: Apache-2.0
import logging

from yolact_ros.ros.logs import NodeLogHandler, ThrottledLog


class Recorder:
    def __init__(self):
        self.lines = []

    def info(self, text):
        self.lines.append(("info", text))

    def warning(self, text):
        self.lines.append(("warning", text))

    def error(self, text):
        self.lines.append(("error", text))


def test_one_line_a_period_for_each_key():
    now = 100.0
    recorder = Recorder()
    log = ThrottledLog(recorder, period=5.0, clock=lambda: now)
    for _ in range(3):
        log.warning("a", "first")
    log.error("b", "second")
    now = 104.9
    log.warning("a", "first")
    now = 105.1
    log.warning("a", "first")
    assert recorder.lines == [
        ("warning", "first"),
        ("error", "second"),
        ("warning", "first (3 more like this before)"),
    ]


def test_keys_are_forgotten_in_the_end():
    recorder = Recorder()
    log = ThrottledLog(recorder, clock=lambda: 0.0)
    for key in range(200):
        log.warning(key, str(key))
    log.warning(199, "held back")
    log.warning(0, "forgotten, so logged again")
    assert len(recorder.lines) == 201 and recorder.lines[-1][1].startswith("forgotten")


def test_records_of_the_core_reach_the_node():
    recorder = Recorder()
    logger = logging.getLogger("test_logs")
    logger.setLevel(logging.DEBUG)
    handler = NodeLogHandler(recorder)
    logger.addHandler(handler)
    try:
        logger.debug("not this")
        logger.info("loaded %s", "x")
        logger.warning("careful")
        logger.critical("bad")
    finally:
        logger.removeHandler(handler)
    assert recorder.lines == [("info", "loaded x"), ("warning", "careful"), ("error", "bad")]


def test_lines_begin_with_the_prefix_and_are_made_only_when_logged():
    recorder, made = Recorder(), []
    log = ThrottledLog(recorder, prefix="front: ", clock=lambda: 0.0)

    def text():
        made.append(1)
        return "waiting"

    for _ in range(3):
        log.warning("key", text)
    log.error("other", "bad")
    assert recorder.lines == [("warning", "front: waiting"), ("error", "front: bad")]
    assert len(made) == 1
