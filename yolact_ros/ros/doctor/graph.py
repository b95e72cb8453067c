# SPDX-License-Identifier: Apache-2.0
"""All nodes: names that two have, and messages of which two have different definitions."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from rclpy.node import Node

from yolact_ros.findings import Finding, error, ok, warning
from yolact_ros.ros.matched_subscription import node_name
from yolact_ros.ros.namesakes import REMEDY

_PACKAGES = ("yolact_ros", "vision_msgs")
HERE = "this machine"


def check_names(names: Iterable[str]) -> Finding:
    """Whether each node has a name of its own.

    Args:
        names: Full names of all nodes; hidden ones begin with _ and do not count.
    """
    counts = Counter(name for name in names if not name.rpartition("/")[2].startswith("_"))
    twice = [f"{count} nodes are called {name}" for name, count in counts.items() if count > 1]
    if twice:
        found = f"{', '.join(sorted(twice))}: services and parameters reach any of them"
        return warning("node names", found, f"{REMEDY}; one that was killed counts for 20 s")
    return ok("node names", f"{len(counts)} nodes, each with a name of its own")


def check_hashes(hashes: Mapping[str, Mapping[str, str]]) -> Finding:
    """Whether all machines have the same definitions of the messages.

    Args:
        hashes: By type, then by node: the hash of the definition that it has.
    """
    for kind, by_node in sorted(hashes.items()):
        if len(set(by_node.values())) > 1:
            each = ", ".join(f"{node} has {value[:15]}" for node, value in sorted(by_node.items()))
            package = kind.partition("/")[0]
            return error(
                "message definitions",
                f"{kind} differs: {each}; nothing comes through between them",
                f"build or install the same version of {package} on all machines",
            )
    return ok("message definitions", f"{len(hashes)} types, the same in all nodes")


def names_of(node: Node) -> list[str]:
    """Full names of all nodes but this one."""
    own = (node.get_name(), node.get_namespace())
    return [
        f"{namespace.rstrip('/')}/{name}"
        for name, namespace in node.get_node_names_and_namespaces()
        if (name, namespace) != own
    ]


def hashes_of(node: Node) -> dict[str, dict[str, str]]:
    """Hashes of the types of this package and vision_msgs in use; empty on Humble."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for topic, kinds in node.get_topic_names_and_types():
        if not any(kind.startswith(f"{package}/") for kind in kinds for package in _PACKAGES):
            continue
        for info in (
            *node.get_publishers_info_by_topic(topic),
            *node.get_subscriptions_info_by_topic(topic),
        ):
            value = str(getattr(info, "topic_type_hash", None) or "")
            if re.match("RIHS01_0*[1-9a-f]", value):  # else the middleware does not know it
                found[info.topic_type][node_name(info)] = value
    for kind, by_node in found.items():
        if own := installed_hash(kind):
            by_node[HERE] = own
    return dict(found)


def versions_of_messages() -> dict[str, str]:
    """The middleware, and the hashes of the messages that carry the results, as built here."""
    kinds = ("yolact_ros/msg/InstanceArray", "vision_msgs/msg/Detection2DArray")
    found = {"rmw": rclpy.get_rmw_implementation_identifier()}
    return found | {kind: value for kind in kinds if (value := installed_hash(kind))}


def installed_hash(kind: str) -> str:
    """The hash of a type as it is built here, such as yolact_ros/msg/Mask; empty: not known."""
    package, _, rest = kind.partition("/")
    try:
        file = Path(get_package_share_directory(package)) / f"{rest}.json"
        entries = json.loads(file.read_text())["type_hashes"]
    except (PackageNotFoundError, OSError, ValueError, KeyError):
        return ""
    return next((each["hash_string"] for each in entries if each["type_name"] == kind), "")
