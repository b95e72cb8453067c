#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command with a ROS_DOMAIN_ID that nobody else on this machine uses.

    scripts/free_domain_id.py COMMAND [ARGUMENT ...]

The id is the command's for as long as it runs, also against others who ask at the same time.
"""

from __future__ import annotations

import os
import shutil
import sys

from yolact_ros.ros.processes.domain_id import take


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(f"expected a command: {sys.argv[0]} COMMAND [ARGUMENT ...]")
    program = shutil.which(sys.argv[1])
    if program is None:  # exec would say otherwise, if PATH has a folder that may not be read
        sys.exit(f"{sys.argv[1]}: expected a program in PATH or its path, found none")
    domain_id, descriptor = take()
    os.environ["ROS_DOMAIN_ID"] = str(domain_id)
    # the lock lasts as long as the command, which replaces this process
    os.set_inheritable(descriptor, True)
    try:
        os.execv(program, sys.argv[1:])
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error.strerror}")


if __name__ == "__main__":
    main()
