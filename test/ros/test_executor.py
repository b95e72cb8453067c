# SPDX-License-Identifier: Apache-2.0
"""Callbacks in the spinning thread, slow services elsewhere, errors where they belong."""

import threading
import time

import pytest
import rclpy
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.exceptions import InvalidHandle
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import String
from std_srvs.srv import Trigger

from yolact_ros.ros.compat import SubscriptionEventCallbacks
from yolact_ros.ros.executor import NodeExecutor


@pytest.fixture
def node(domain_id):
    rclpy.init(args=[], domain_id=domain_id)
    node = rclpy.create_node("served")
    yield node
    node.destroy_node()
    rclpy.shutdown()


def test_a_slow_service_keeps_nobody_waiting(node, peer):
    threads, errors, go_on = [], [], threading.Event()

    def slow(request, response):
        threads.append(threading.current_thread())
        assert go_on.wait(20)
        if len(threads) == 3:
            raise ValueError("third")
        response.success = True
        return response

    def quick(request, response):
        response.success = threading.current_thread() is spinning
        return response

    group = ReentrantCallbackGroup()
    service = node.create_service(Trigger, "slow", slow, callback_group=group)
    node.create_service(Trigger, "quick", quick)
    ending = threading.Event()
    executor = NodeExecutor([service], errors.append, ended=ending.is_set)
    executor.add_node(node)

    def spin():
        while not ending.is_set():
            executor.spin_once()

    spinning = threading.Thread(target=spin, daemon=True)
    spinning.start()
    client = peer.node.create_client(Trigger, "slow")
    peer.until(client.service_is_ready, what="service")
    answers = [client.call_async(Trigger.Request()) for _ in range(2)]
    peer.until(lambda: len(threads) == 2, what="two calls at once")
    for _ in range(5):
        assert peer.call(Trigger, "quick", timeout=10).success
    assert spinning not in threads and len(set(threads)) == 2
    assert not any(answer.done() for answer in answers)
    go_on.set()
    for answer in answers:
        peer.until(answer.done, what="slow answer")
        assert answer.result().success
    client.call_async(Trigger.Request())
    peer.until(lambda: errors, what="error")
    assert str(errors[0]) == "third"
    assert peer.call(Trigger, "quick", timeout=10).success
    # It waits without using the processor.
    begin = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - begin < 0.3
    # At the end nobody is told that a call cannot be answered any more.
    go_on.clear()
    client.call_async(Trigger.Request())
    peer.until(lambda: len(threads) == 4, what="a call that the end interrupts")
    ending.set()
    executor.wake()  # there is no timer that would do it
    spinning.join(10)
    assert not spinning.is_alive()
    node.destroy_service(service)
    go_on.set()
    threads[3].join(10)
    assert not threads[3].is_alive() and len(errors) == 1


def test_what_a_quick_callback_raises_is_raised_where_it_spins(node):
    def fail():
        raise KeyError("timer")

    node.create_timer(0.01, fail)
    executor = NodeExecutor((), pytest.fail)
    executor.add_node(node)
    with pytest.raises(KeyError, match="timer"):
        for _ in range(100):
            executor.spin_once(timeout_sec=1.0)


class DestroyedWhileListed(NodeExecutor):
    """Another thread destroys a subscription while the executor lists what it waits for."""

    def can_execute(self, entity):
        if entity in self.doomed.event_handlers:
            self.node.destroy_subscription(self.doomed)
        return super().can_execute(entity)


class DestroyedWhenReady(NodeExecutor):
    """Another thread destroys a subscription whose event is just about to be taken."""

    def wait_for_ready_callbacks(self, *args, **kwargs):
        found = super().wait_for_ready_callbacks(*args, **kwargs)
        if found[1] in self.doomed.event_handlers:
            self.node.destroy_subscription(self.doomed)
        return found


@pytest.mark.parametrize("kind", [DestroyedWhileListed, DestroyedWhenReady])
def test_another_thread_may_destroy_what_is_listed_or_ready(node, kind):
    events, ticks = [], []
    callbacks = SubscriptionEventCallbacks(incompatible_qos=events.append)
    doomed = node.create_subscription(String, "talk", pytest.fail, 1, event_callbacks=callbacks)
    executor = kind((), pytest.fail)
    executor.node, executor.doomed = node, doomed
    node.create_publisher(String, "talk", qos_profile_sensor_data)  # cannot reach it: an event
    node.create_timer(0.01, lambda: ticks.append(doomed in node.subscriptions))
    executor.add_node(node)
    begin = time.monotonic()
    while ticks.count(False) < 5:
        executor.spin_once(timeout_sec=1.0)
        assert time.monotonic() - begin < 20
    assert not events


def test_what_a_callback_raises_of_its_own_is_raised(node):
    """An entity that was destroyed is left out; a callback that uses one is told."""
    gone = node.create_publisher(String, "gone", 1)
    node.destroy_publisher(gone)
    node.create_timer(0.01, lambda: gone.publish(String()))
    executor = NodeExecutor((), pytest.fail)
    executor.add_node(node)
    with pytest.raises(InvalidHandle):
        for _ in range(100):
            executor.spin_once(timeout_sec=1.0)


def test_it_returns_when_nothing_comes_in_time(node):
    executor = NodeExecutor((), pytest.fail)
    executor.add_node(node)
    begin = time.monotonic()
    executor.spin_once(timeout_sec=0.05)
    assert time.monotonic() - begin < 5
