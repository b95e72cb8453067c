# SPDX-License-Identifier: Apache-2.0
"""The environment in which a process's large images reach other processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ament_index_python.packages import get_package_share_directory

PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
"""What Fast DDS 2 (Humble to Jazzy) and 3 (Kilted and later) read."""

TRANSPORT_VARIABLES = (*PROFILE_VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS")
"""Variables by which users choose a transport of their own."""


def transport_settings(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that name the shipped Fast DDS profile; none if the user has made a choice.

    They must be set for the process that publishes the images; config/fastdds.xml says why.

    Args:
        environment: That in which a process is to be started.
    """
    if any(environment.get(name) for name in TRANSPORT_VARIABLES):
        return {}
    profile = Path(get_package_share_directory("yolact_ros")) / "config" / "fastdds.xml"
    return dict.fromkeys(PROFILE_VARIABLES, str(profile))
