# SPDX-License-Identifier: Apache-2.0
import itertools
import threading
import time

import pytest

from yolact_ros.ros.worker import NewestFrameWorker


class Bench:
    """A worker whose work waits until it is let go, and what it did."""

    def __init__(self, max_rate=0.0):
        self.done, self.errors, self.replaced = [], [], 0
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.worker = NewestFrameWorker(
            self.work,
            on_replaced=self.count,
            on_error=lambda error: self.errors.append(str(error)),
            max_rate=max_rate,
        )

    def work(self, frame):
        self.begun.release()
        assert self.go_on.acquire(timeout=5)
        if frame == "bad":
            raise ValueError("bad frame")
        self.done.append(frame)

    def count(self):
        self.replaced += 1


@pytest.fixture
def bench():
    bench = Bench()
    bench.worker.start()
    yield bench
    for _ in range(100):
        bench.go_on.release()
    assert bench.worker.stop(timeout=5)


def wait_until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_newest_frame_replaces_the_waiting_one(bench):
    bench.worker.offer(1)
    assert bench.begun.acquire(timeout=5)
    for frame in (2, 3, 4):
        bench.worker.offer(frame)
    bench.go_on.release()
    bench.go_on.release()
    wait_until(lambda: len(bench.done) == 2)
    assert bench.done == [1, 4]
    assert bench.replaced == 2


def test_an_error_is_reported_and_the_next_frame_is_served(bench):
    bench.go_on.release()
    bench.go_on.release()
    bench.worker.offer("bad")
    wait_until(lambda: bench.errors == ["bad frame"])
    bench.worker.offer("good")
    wait_until(lambda: bench.done == ["good"])


def test_offer_returns_at_once_while_a_frame_is_worked_on(bench):
    bench.worker.offer(1)
    assert bench.begun.acquire(timeout=5)
    begin = time.monotonic()
    for frame in range(1000):
        bench.worker.offer(frame)
    assert time.monotonic() - begin < 0.5


def test_stopped_worker_takes_nothing_and_starts_again():
    bench = Bench()
    bench.worker.offer("before the start")
    bench.worker.start()
    bench.worker.start()
    bench.go_on.release()
    bench.worker.offer(1)
    wait_until(lambda: bench.done == [1])
    assert bench.worker.stop(timeout=5)
    bench.worker.offer("after the stop")
    bench.worker.start()
    bench.go_on.release()
    bench.worker.offer(2)
    wait_until(lambda: bench.done == [1, 2])
    assert bench.worker.stop(timeout=5)
    assert bench.replaced == 0


def test_stop_says_when_the_work_does_not_end():
    bench = Bench()
    bench.worker.start()
    bench.worker.offer(1)
    assert bench.begun.acquire(timeout=5)
    assert not bench.worker.stop(timeout=0.05)
    # Started again meanwhile, it goes on with one thread, after that work has ended.
    bench.worker.start()
    bench.worker.offer(2)
    assert not bench.begun.acquire(timeout=0.05)
    bench.go_on.release()
    bench.go_on.release()
    wait_until(lambda: bench.done == [1, 2])
    assert bench.worker.stop(timeout=5)


def test_max_rate_takes_the_newest_frame_when_its_time_comes():
    starts = []
    worker = NewestFrameWorker(
        lambda frame: starts.append((time.monotonic(), frame)),
        on_replaced=lambda: None,
        on_error=pytest.fail,
        max_rate=20.0,
    )
    assert worker.max_rate == 20.0
    worker.start()
    begin = time.monotonic()
    while time.monotonic() - begin < 0.6:
        worker.offer(time.monotonic())
        time.sleep(0.003)
    assert worker.stop(timeout=5)
    assert 6 <= len(starts) <= 13  # 12 or 13 are due; a busy machine makes fewer
    assert all(b[0] - a[0] > 0.02 for a, b in itertools.pairwise(starts))
    assert all(at - frame < 0.04 for at, frame in starts)
