# SPDX-License-Identifier: Apache-2.0
import threading
import time
from types import SimpleNamespace

import pytest

from yolact_ros.ros.space.worker import MOST_WAITING, MeasuringWorker, Pending

FRONT, REAR = SimpleNamespace(name="front"), SimpleNamespace(name="rear")


def pending(camera=FRONT, match=None, wait=100.0):
    depth = SimpleNamespace(match=match)
    return Pending(camera, None, None, None, None, depth, time.perf_counter() + wait)


class Bench:
    def __init__(self):
        self.done, self.dropped, self.errors = [], [], []
        self.go_on = threading.Event()
        self.go_on.set()
        self.error = None
        self.worker = MeasuringWorker(
            self.work,
            is_settled=lambda item: item.depth.match is not None,
            on_dropped=lambda item, counter: self.dropped.append((item, counter)),
            on_error=lambda item, error: self.errors.append((item, str(error))),
        )

    def work(self, item):
        assert self.go_on.wait(5)
        if self.error:
            raise self.error
        self.done.append(item)


@pytest.fixture
def bench():
    bench = Bench()
    bench.worker.start()
    yield bench
    bench.go_on.set()
    assert bench.worker.stop(5)


def wait_until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_result_with_depth_is_worked_on_at_once(bench):
    item = pending(match="depth")
    bench.worker.offer(item)
    wait_until(lambda: bench.done == [item])


def test_a_result_waits_until_its_depth_comes(bench):
    item = pending()
    bench.worker.offer(item)
    bench.worker.look_again()
    time.sleep(0.05)
    assert not bench.done
    item.depth.match = "depth"
    bench.worker.look_again()
    wait_until(lambda: bench.done == [item])


def test_a_result_waits_no_longer_than_its_deadline(bench):
    begin = time.perf_counter()
    item = pending(wait=0.1)
    bench.worker.offer(item)
    wait_until(lambda: bench.done == [item])
    assert 0.1 <= time.perf_counter() - begin < 2


def test_waiting_results_keep_no_other_back(bench):
    bench.worker.offer(pending())
    item = pending(match="depth")
    bench.worker.offer(item)
    wait_until(lambda: bench.done == [item])


def test_behind_the_newest_of_each_camera_is_taken(bench):
    bench.go_on.clear()
    first = pending(match="depth")
    bench.worker.offer(first)
    wait_until(lambda: bench.worker.busy_seconds is not None)
    items = [pending(camera, match="depth") for camera in (FRONT, REAR, FRONT, FRONT)]
    for item in items:
        bench.worker.offer(item)
    bench.go_on.set()
    wait_until(lambda: len(bench.done) == 3)
    assert bench.done == [first, items[3], items[1]]
    assert bench.dropped == [(items[0], "overtaken"), (items[2], "overtaken")]


def test_only_a_few_wait(bench):
    items = [pending() for _ in range(MOST_WAITING + 1)]
    other = pending(REAR)
    bench.worker.offer(other)
    for item in items:
        bench.worker.offer(item)
    assert bench.dropped == [(items[0], "unmatched")]


def test_an_error_costs_one_result(bench):
    bench.error = ValueError("no")
    bench.worker.offer(pending(match="depth"))
    wait_until(lambda: bench.errors)
    bench.error = None
    bench.worker.offer(pending(match="depth"))
    wait_until(lambda: bench.done)
    assert bench.errors[0][1] == "no"


def test_what_waits_is_dropped_at_the_end(bench):
    item, late = pending(), pending()
    bench.worker.offer(item)
    assert bench.worker.stop(5)
    bench.worker.offer(late)
    assert bench.dropped == [(item, "space_stopped"), (late, "space_stopped")]
    bench.worker.start()
    again = pending(match="depth")
    bench.worker.offer(again)
    wait_until(lambda: bench.done == [again])
