# SPDX-License-Identifier: Apache-2.0
"""How the threads of a network on a CPU wait for each other; imports nothing that takes time."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

WAITING_VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
"""Variables by which users choose how they wait."""

_SPINS = 3000


def wait_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Lets GNU OpenMP's threads look for work only so often before they sleep.

    To be called before PyTorch is imported. By default they look 300,000 times, which takes the
    cores from every other program that computes; docs/benchmarks/node.md has figures.

    Args:
        environment: Of this process; unchanged if the user has made a choice.
    """
    if not any(environment.get(name) for name in WAITING_VARIABLES):
        environment["GOMP_SPINCOUNT"] = str(_SPINS)
