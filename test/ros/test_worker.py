# SPDX-License-Identifier: Apache-2.0
import itertools
import threading
import time

import pytest

from yolact_ros.errors import InputError
from yolact_ros.ros.worker import BatchWorker, HandOver


class Bench:
    """A worker whose work waits until it is let go, and what it did."""

    def __init__(self, cameras=("a",), **options):
        self.done, self.errors, self.dropped = [], [], []
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.worker = BatchWorker(
            cameras,
            self.work,
            on_dropped=lambda frame, why: self.dropped.append((frame, why)),
            on_error=lambda frames, error: self.errors.append((frames, str(error))),
            **options,
        )

    def work(self, frames):
        self.begun.release()
        assert self.go_on.acquire(timeout=5)
        if "bad" in frames:
            raise ValueError("bad frame")
        self.done.append(frames)
        return True


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
    bench.worker.offer("a", 1)
    assert bench.begun.acquire(timeout=5)
    for frame in (2, 3, 4):
        bench.worker.offer("a", frame)
    bench.go_on.release()
    bench.go_on.release()
    wait_until(lambda: len(bench.done) == 2)
    assert bench.done == [[1], [4]]
    assert bench.dropped == [(2, "replaced"), (3, "replaced")]


def test_an_error_is_reported_and_the_next_frame_is_served(bench):
    bench.go_on.release()
    bench.go_on.release()
    bench.worker.offer("a", "bad")
    wait_until(lambda: bench.errors == [(["bad"], "bad frame")])
    bench.worker.offer("a", "good")
    wait_until(lambda: bench.done == [["good"]])


@pytest.mark.alone
def test_offer_returns_at_once_while_a_frame_is_worked_on(bench):
    bench.worker.offer("a", 1)
    assert bench.begun.acquire(timeout=5)
    begin = time.monotonic()
    for frame in range(1000):
        bench.worker.offer("a", frame)
    assert time.monotonic() - begin < 0.5


def test_all_that_came_meanwhile_are_one_batch():
    bench = Bench(cameras=("a", "b", "c"))
    bench.worker.start()
    bench.worker.offer("b", "b1")
    assert bench.begun.acquire(timeout=5)
    for name in "cab":
        bench.worker.offer(name, f"{name}2")
    bench.go_on.release()
    bench.go_on.release()
    wait_until(lambda: len(bench.done) == 2)
    assert bench.done == [["b1"], ["c2", "a2", "b2"]]
    assert bench.worker.stop(timeout=5)


def test_settings_change_while_it_runs():
    bench = Bench(cameras=("a", "b"), max_rate=0.1)
    bench.worker.start()
    for _ in range(3):
        bench.go_on.release()
    bench.worker.offer("a", 1)
    assert bench.begun.acquire(timeout=5)
    bench.worker.offer("a", 2)
    bench.worker.offer("b", 3)
    assert not bench.begun.acquire(timeout=0.05)
    bench.worker.configure(batch_wait=0.0, max_batch=1, max_rate=0.0)
    wait_until(lambda: bench.done == [[1], [2], [3]])
    assert bench.worker.stop(timeout=5)


def test_stopped_worker_takes_nothing_and_starts_again():
    bench = Bench()
    bench.worker.offer("a", "before the start")
    bench.worker.start()
    bench.worker.start()
    bench.go_on.release()
    bench.worker.offer("a", 1)
    wait_until(lambda: bench.done == [[1]])
    assert bench.worker.stop(timeout=5)
    bench.worker.offer("a", "after the stop")
    bench.worker.start()
    bench.go_on.release()
    bench.worker.offer("a", 2)
    wait_until(lambda: bench.done == [[1], [2]])
    assert bench.worker.stop(timeout=5)
    assert bench.dropped == [("before the start", "stopped"), ("after the stop", "stopped")]


def test_stop_says_when_the_work_does_not_end():
    bench = Bench()
    bench.worker.start()
    bench.worker.offer("a", 1)
    assert bench.begun.acquire(timeout=5)
    assert not bench.worker.stop(timeout=0.05)
    # Started again meanwhile, it goes on with one thread, after that work has ended.
    bench.worker.start()
    bench.worker.offer("a", 2)
    assert not bench.begun.acquire(timeout=0.05)
    bench.go_on.release()
    bench.go_on.release()
    wait_until(lambda: bench.done == [[1], [2]])
    assert bench.worker.stop(timeout=5)


def serve_for(seconds, counts):
    """Offers frames for a while, at most 20 batches a second; their starts and frames."""
    starts = []

    def work(frames):
        starts.append((time.monotonic(), frames[0]))
        return counts

    worker = BatchWorker(
        ("a",), work, on_dropped=lambda frame, why: None, on_error=pytest.fail, max_rate=20.0
    )
    worker.start()
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        worker.offer("a", time.monotonic())
        time.sleep(0.003)
    assert worker.stop(timeout=5)
    return starts


@pytest.mark.alone
def test_max_rate_takes_the_newest_frame_when_its_time_comes():
    starts = serve_for(0.6, counts=True)
    assert 6 <= len(starts) <= 13  # 12 or 13 are due; a busy machine makes fewer
    assert all(b[0] - a[0] > 0.02 for a, b in itertools.pairwise(starts))
    assert all(at - frame < 0.04 for at, frame in starts)


@pytest.mark.alone
def test_batches_for_which_nothing_was_computed_do_not_count_for_the_rate():
    assert len(serve_for(0.6, counts=False)) > 25


class Calls:
    """Functions for a worker that wait until they are let go, and note when they run."""

    def __init__(self, bench):
        self._bench = bench

    def __call__(self, item):
        return self._bench.worker.call(lambda: self._bench.work([item]) and item)


def test_a_stopped_worker_answers_calls():
    bench = Bench()
    call = Calls(bench)
    bench.go_on.release()
    assert call("first").result(5) == "first"
    bench.go_on.release()
    with pytest.raises(ValueError, match="bad frame"):
        call("bad").result(5)
    bench.go_on.release()
    assert call("after an error").result(5) == "after an error"
    assert not bench.errors
    assert bench.worker.stop(timeout=5)
    bench.go_on.release()
    assert call("after the stop").result(5) == "after the stop"


def test_calls_and_batches_take_turns():
    bench = Bench()
    bench.worker.start()
    call = Calls(bench)
    bench.worker.offer("a", 1)
    assert bench.begun.acquire(timeout=5)
    answers = [call(f"call {number}") for number in range(4)]
    bench.worker.offer("a", 2)
    for frame in (3, 4):
        bench.go_on.release()
        assert bench.begun.acquire(timeout=5)  # a call
        bench.go_on.release()
        assert bench.begun.acquire(timeout=5)  # a batch
        bench.worker.offer("a", frame)
    for _ in range(4):
        bench.go_on.release()
    assert [answer.result(5) for answer in answers] == [f"call {number}" for number in range(4)]
    assert bench.worker.stop(timeout=5)
    assert bench.done == [[1], ["call 0"], [2], ["call 1"], [3], ["call 2"], [4], ["call 3"]]
    assert not bench.dropped


def test_start_and_stop_wait_for_no_calls_but_that_in_progress():
    bench = Bench()
    call = Calls(bench)
    answers = [call(number) for number in range(4)]
    assert bench.begun.acquire(timeout=5)
    bench.worker.start()
    bench.worker.offer("a", "frame")
    bench.go_on.release()
    assert bench.begun.acquire(timeout=5)
    bench.go_on.release()
    assert bench.begun.acquire(timeout=5)
    assert bench.done == [[0], ["frame"]]
    stopped = []
    stopping = threading.Thread(target=lambda: stopped.append(bench.worker.stop(timeout=5)))
    stopping.start()
    wait_until(lambda: not bench.worker._running)
    bench.go_on.release()
    stopping.join()
    assert stopped == [True] and bench.done == [[0], ["frame"], [1]]
    for _ in range(2):
        bench.go_on.release()
    assert [answer.result(5) for answer in answers] == [0, 1, 2, 3]


def test_a_closed_worker_refuses_calls_and_ends_that_in_progress():
    bench = Bench()
    call = Calls(bench)
    first, cancelled, waiting = call("first"), call("cancelled"), call("waiting")
    assert bench.begun.acquire(timeout=5) and cancelled.cancel()
    bench.worker.close()
    for answer in (waiting, call("after the end")):
        with pytest.raises(InputError, match="configure it, ask again"):
            answer.result(5)
    bench.go_on.release()
    assert first.result(5) == "first" and bench.worker.stop(timeout=5)
    assert bench.done == [["first"]]


def test_a_cancelled_call_is_not_run():
    bench = Bench()
    call = Calls(bench)
    first, cancelled, last = call("first"), call("cancelled"), call("last")
    assert bench.begun.acquire(timeout=5) and cancelled.cancel()
    for _ in range(2):
        bench.go_on.release()
    assert (first.result(5), last.result(5)) == ("first", "last")
    assert bench.done == [["first"], ["last"]]


class Taker:
    """A hand-over whose work waits until it is let go."""

    def __init__(self):
        self.done, self.errors = [], []
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.hand_over = HandOver(
            self.work, on_error=lambda item, error: self.errors.append((item, str(error)))
        )

    def work(self, item):
        self.begun.release()
        assert self.go_on.acquire(timeout=5)
        if item == "bad":
            raise ValueError("bad item")
        self.done.append(item)


@pytest.fixture
def taker():
    taker = Taker()
    taker.hand_over.start()
    yield taker
    for _ in range(100):
        taker.go_on.release()
    assert taker.hand_over.stop(timeout=5)


def give(taker, item):
    """Gives in a thread of its own; the list gets the answer."""
    answers = []
    threading.Thread(target=lambda: answers.append(taker.hand_over.give(item))).start()
    return answers


def test_the_giver_goes_on_while_its_thing_is_worked_on_but_is_ahead_by_one_only(taker):
    assert taker.hand_over.give(1)
    assert taker.begun.acquire(timeout=5) and taker.done == []
    answers = give(taker, 2)
    time.sleep(0.05)
    assert answers == []
    taker.go_on.release()
    wait_until(lambda: answers == [True])
    assert taker.done == [1]
    taker.go_on.release()
    wait_until(lambda: taker.done == [1, 2])


def test_an_error_in_the_work_is_reported_and_the_next_thing_is_taken(taker):
    assert taker.hand_over.give("bad")
    taker.go_on.release()
    assert taker.hand_over.give("good")
    taker.go_on.release()
    wait_until(lambda: taker.done == ["good"])
    assert taker.errors == [("bad", "bad item")]


def test_what_waits_when_it_is_stopped_is_dropped():
    taker = Taker()
    assert not taker.hand_over.give("before the start")
    taker.hand_over.start()
    assert taker.hand_over.give(1)
    answers = give(taker, 2)
    time.sleep(0.02)
    assert not taker.hand_over.stop(timeout=0.05)
    wait_until(lambda: answers == [False])
    assert not taker.hand_over.give("after the stop")
    # Started again, it goes on after the work that had not ended.
    taker.hand_over.start()
    answers = give(taker, 3)
    taker.go_on.release()
    taker.go_on.release()
    wait_until(lambda: taker.done == [1, 3])
    wait_until(lambda: answers == [True])
    assert taker.hand_over.stop(timeout=5)
