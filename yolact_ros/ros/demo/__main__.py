# SPDX-License-Identifier: Apache-2.0
import sys

from yolact_ros.ros.signals import leave_quietly

if __name__ == "__main__":
    leave_quietly()

    # it takes a while to import, and Ctrl-C may come meanwhile
    from .main import main

    sys.exit(main())
