# SPDX-License-Identifier: Apache-2.0
# Makes a shell use what scripts/setup made:  . scripts/environment.bash
# ROS 2 then talks to processes of this machine alone, and images reach other processes.

_yolact_ros_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# the scripts that are sourced here use variables that are not set
_yolact_ros_options=$(set +o)
set +u

case ${YOLACT_ROS_DISTRO:-jazzy} in
  jazzy) _yolact_ros_venv=$_yolact_ros_root/.venv ;;
  *) _yolact_ros_venv=$_yolact_ros_root/.venv-$YOLACT_ROS_DISTRO ;;
esac
. "${YOLACT_ROS_VENV:-$_yolact_ros_venv}/bin/activate"
if [ -d "$VIRTUAL_ENV/share/rclpy" ]; then
  # the environment is a ROS 2 installation itself
  export AMENT_PREFIX_PATH=$VIRTUAL_ENV${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}
fi
. "$_yolact_ros_root/install/setup.bash"

if [ "${ROS_DISTRO:-}" = humble ]; then
  export ROS_LOCALHOST_ONLY=1
else
  export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
fi
if [ -z "${FASTRTPS_DEFAULT_PROFILES_FILE:-}${FASTDDS_DEFAULT_PROFILES_FILE:-}${FASTDDS_BUILTIN_TRANSPORTS:-}" ]; then
  case ${ROS_DISTRO:-$(ls "$VIRTUAL_ENV"/lib/libfastdds.so 2>/dev/null)} in
    "" | humble | iron | jazzy) export FASTRTPS_DEFAULT_PROFILES_FILE=$_yolact_ros_root/config/fastdds.xml ;; # Fast DDS 2
    *) export FASTDDS_DEFAULT_PROFILES_FILE=$_yolact_ros_root/config/fastdds.xml ;; # Fast DDS 3
  esac
fi

eval "$_yolact_ros_options"
unset _yolact_ros_root _yolact_ros_options _yolact_ros_venv
