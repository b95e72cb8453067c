# SPDX-License-Identifier: Apache-2.0
# The node and the command in a container: docker build --build-arg ROS_DISTRO=humble --build-arg DEVICE=cuda .
# compose.yaml runs it; docs/docker.md says how.
ARG ROS_DISTRO=jazzy

# what the package needs to run; the official image has git, a compiler and colcon
FROM ros:${ROS_DISTRO} AS base
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# cpu, or cuda: PyTorch's own wheels have CUDA in them, the host has the driver
ARG DEVICE=cpu
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /ws
COPY package.xml /ws/src/yolact_ros/
# packages of a distribution are not kept in older versions, so that none can be named
# hadolint ignore=DL3008
RUN apt-get update \
  && rosdep update --rosdistro "$ROS_DISTRO" \
  && rosdep install --from-paths src --ignore-src -y -t exec -t build_export -t build -t buildtool \
       --skip-keys "python3-torch python3-torchvision" \
  && apt-get install -y --no-install-recommends python3-dev python3-venv "ros-$ROS_DISTRO-ros2launch" \
  && rm -rf /var/lib/apt/lists/*
COPY requirements /ws/src/yolact_ros/requirements
# NumPy 1: what ROS 2 Humble and Jazzy are built for
RUN python3 -m venv --system-site-packages /opt/venv \
  && case "$DEVICE" in \
       cpu) set -- --index-url https://download.pytorch.org/whl/cpu ;; \
       cuda) set -- ;; \
       *) echo "DEVICE: expected cpu or cuda, got '$DEVICE'" >&2; exit 1 ;; \
     esac \
  && /opt/venv/bin/pip install --no-cache-dir "$@" "torch>=2.1" "torchvision>=0.16" "numpy<2" \
  && /opt/venv/bin/pip install --no-cache-dir -r src/yolact_ros/requirements/core.txt "numpy<2"
# Fast DDS shares memory with processes of the same user alone: give the camera's
ARG USER_ID=1000
RUN if id ubuntu > /dev/null 2>&1; then userdel --remove ubuntu; fi \
  && useradd --create-home --uid "$USER_ID" --shell /bin/bash robot

FROM base AS build
COPY . /ws/src/yolact_ros
RUN . "/opt/ros/$ROS_DISTRO/setup.bash" \
  && . /opt/venv/bin/activate \
  && colcon build --merge-install --install-base /opt/yolact_ros --packages-select yolact_ros \
       --cmake-args -DBUILD_TESTING=OFF "-DPython3_EXECUTABLE=$VIRTUAL_ENV/bin/python"

FROM base AS run
COPY --from=build /opt/yolact_ros /opt/yolact_ros
COPY docker/entrypoint.bash /usr/local/bin/entrypoint.bash
# by name, as its number is an argument
# hadolint ignore=DL3066
USER robot
WORKDIR /home/robot
ENTRYPOINT ["/usr/local/bin/entrypoint.bash"]
CMD ["ros2", "launch", "yolact_ros", "yolact.launch.py"]
