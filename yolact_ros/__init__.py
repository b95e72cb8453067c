# SPDX-License-Identifier: Apache-2.0
"""Real-time instance segmentation (YOLACT) for ROS 2."""

import pkgutil

# In a source tree there is no generated `yolact_ros.msg`; where the built package is on the path
# as well, this merges the two folders. It is a no-op in an installation.
__path__ = pkgutil.extend_path(__path__, __name__)

__version__ = "0.1.0"
