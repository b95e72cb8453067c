#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a command with ROS 2, the package and the environment that has PyTorch.
set -eo pipefail
# shellcheck disable=SC1090
. "/opt/ros/$ROS_DISTRO/setup.bash"
# shellcheck disable=SC1091
. /opt/yolact_ros/setup.bash
# shellcheck disable=SC1091
. /opt/venv/bin/activate
exec "$@"
