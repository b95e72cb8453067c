# SPDX-License-Identifier: Apache-2.0
"""What `qos_overrides` make of a profile, and which profiles fit."""

import pytest
import rclpy
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)

from yolact_ros.ros.parameters.qos import (
    PUBLISHER,
    SUBSCRIPTION,
    as_offered,
    described,
    following_qos,
    overridden_qos,
    stray_overrides,
    unfit_policies,
    volatile_qos,
)
from yolact_ros.ros.parameters.spec import ParameterError

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
VOLATILE, LATCHED = DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL


@pytest.fixture
def make_node(domain_id):
    """Makes a node called /node with parameters and remappings; all end with the test."""
    nodes, contexts = [], []

    def make(parameters, *remappings):
        arguments = [part for rule in remappings for part in ("-r", rule)]
        for name, value in parameters.items():
            arguments += ["-p", f"qos_overrides.{name}:={value}"]
        contexts.append(Context())
        arguments = ["--ros-args", *arguments]
        rclpy.init(args=arguments, context=contexts[-1], domain_id=domain_id)
        nodes.append(rclpy.create_node("node", context=contexts[-1], namespace="/robot"))
        return nodes[-1]

    yield make
    for node, context in zip(nodes, contexts, strict=True):
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_every_policy_of_a_remapped_topic_can_be_overridden(make_node):
    given = {
        "/seen.publisher.history": "keep_all",
        "/seen.publisher.depth": 7,
        "/seen.publisher.reliability": "BEST_EFFORT",
        "/seen.publisher.durability": "transient_local",
        "/seen.publisher.deadline": 5,
        "/seen.publisher.lifespan": 6,
        "/seen.publisher.liveliness": "manual_by_topic",
        "/seen.publisher.liveliness_lease_duration": 8,
    }
    node = make_node(given, "~/seen:=/seen")
    default = volatile_qos(depth=1, reliable=True)
    assert overridden_qos(node, PUBLISHER, "~/seen", default) == QoSProfile(
        history=HistoryPolicy.KEEP_ALL,
        depth=7,
        reliability=BEST_EFFORT,
        durability=LATCHED,
        deadline=Duration(nanoseconds=5),
        lifespan=Duration(nanoseconds=6),
        liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
        liveliness_lease_duration=Duration(nanoseconds=8),
    )
    assert default == volatile_qos(depth=1, reliable=True)
    assert overridden_qos(node, PUBLISHER, "~/other", default) == default
    # They can be listed, and what is made again gets the same.
    assert node.get_parameter("qos_overrides./robot/node/other.publisher.depth").value == 1
    assert overridden_qos(node, PUBLISHER, "~/seen", default).depth == 7


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("publisher.depth", "many", "expected an integer of at least 1, got 'many'"),
        ("publisher.depth", "0", "expected an integer of at least 1, got 0"),
        ("publisher.depth", "2.5", "expected an integer of at least 1, got 2.5"),
        ("publisher.deadline", "-1", "expected an integer of at least 0, got -1"),
        ("publisher.reliability", "realiable", "expected one of .*reliable, .*got 'realiable'"),
        ("publisher.durability", "true", "expected one of .*transient_local"),
        ("publisher.history", "unknown", "expected one of .*keep_last"),
        ("publisher.reliabilty", "reliable", "a policy among .*reliability.*got 'reliabilty'"),
        ("subscription.lifespan", "5", "expected a policy among .*, got 'lifespan'"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(make_node, name, value, said):
    node = make_node({f"/image.{name}": value})
    with pytest.raises(ParameterError, match=rf"^qos_overrides\./image\.{name}: .*{said}"):
        overridden_qos(node, name.split(".")[0], "/image", following_qos(depth=1))


def test_overrides_without_effect_are_told_if_they_are_meant_for_this_node(make_node):
    given = (
        "/robot/node/instance.publisher.depth",
        "/robot/node/seen.publisher.depth",
        "/robot/node/instances.subscription.depth",
        "/other/topic.publisher.depth",
        "/chatter.subscription.reliability_",
    )
    node = make_node(dict.fromkeys(given, 3), "~/seen:=/seen")
    for topic in ("~/instances", "~/seen"):
        overridden_qos(node, PUBLISHER, topic, QoSProfile(depth=1))
    known = ("/robot/node/instances", "/seen", "/robot/node/instances")
    assert list(stray_overrides(node)) == [
        f"unknown parameter qos_overrides.{name}, which is ignored; did you mean "
        f"qos_overrides.{meant}.publisher.depth?"
        for name, meant in zip(given, known, strict=False)
    ]


def profile(reliability, durability):
    return QoSProfile(depth=1, reliability=reliability, durability=durability)


PROFILES = [profile(one, other) for one in (RELIABLE, BEST_EFFORT) for other in (VOLATILE, LATCHED)]


def test_a_subscription_follows_what_all_publishers_offer(make_node):
    qos = overridden_qos(make_node({}), SUBSCRIPTION, "/image", following_qos(depth=1))
    for offered in PROFILES:
        assert as_offered(qos, [offered]) == offered
    assert as_offered(qos, []) == profile(BEST_EFFORT, VOLATILE)
    assert as_offered(qos, PROFILES) == profile(BEST_EFFORT, VOLATILE)
    assert as_offered(qos, PROFILES[:2]) == profile(RELIABLE, VOLATILE)
    fixed = as_offered(profile(RELIABLE, VOLATILE), PROFILES)
    assert fixed == profile(RELIABLE, VOLATILE)


def test_what_fits_is_what_the_middleware_takes_for_fitting():
    limits = [Duration(seconds=1), Duration(seconds=2), Duration()]
    others = [QoSProfile(depth=1, deadline=limit) for limit in limits]
    others += [QoSProfile(depth=1, liveliness_lease_duration=limit) for limit in limits]
    others += [QoSProfile(depth=1, liveliness=LivelinessPolicy.MANUAL_BY_TOPIC)]
    profiles = [*PROFILES, *others]
    for offered in profiles:
        for asked in profiles:
            compatibility, reason = qos_check_compatible(offered, asked)
            policies = unfit_policies(offered, asked)
            assert bool(policies) == (compatibility == QoSCompatibility.ERROR), reason


def test_profiles_are_described_by_what_decides():
    assert described(profile(BEST_EFFORT, LATCHED)) == "best_effort, transient_local"
    strict = QoSProfile(
        depth=1, deadline=Duration(seconds=1), liveliness=LivelinessPolicy.MANUAL_BY_TOPIC
    )
    assert described(strict) == (
        "reliable, volatile, deadline 1000000000 ns, liveliness manual_by_topic"
    )
