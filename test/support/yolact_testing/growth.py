# SPDX-License-Identifier: Apache-2.0
"""What objects keep: for tests that nothing grows with what was seen."""

from collections import Counter, deque

_CONTAINERS = (dict, list, tuple, set, frozenset, deque)


def kept(*roots):
    """The lengths of all containers and caches of functions that are reachable, by their paths.

    Those that stand for each other in a container are added up.
    """
    seen, lengths = set(), Counter()
    waiting = [(type(root).__name__, root) for root in roots]
    while waiting:
        path, item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, _CONTAINERS):
            lengths[path] += len(item)
            parts = item.values() if isinstance(item, dict) else item
            waiting += [(f"{path}[]", part) for part in tuple(parts)]
        elif hasattr(item, "cache_info"):
            lengths[path] += item.cache_info().currsize
        elif hasattr(item, "__self__"):  # a bound method
            waiting.append((f"{path}.__self__", item.__self__))
        elif type(item).__module__.startswith("yolact_ros"):
            slots = [name for kind in type(item).__mro__ for name in getattr(kind, "__slots__", ())]
            named = {name: getattr(item, name) for name in slots if hasattr(item, name)}
            named |= getattr(item, "__dict__", {})
            waiting += [(f"{path}.{name}", part) for name, part in named.items()]
    return lengths
