# SPDX-License-Identifier: Apache-2.0
"""Real-time instance segmentation (YOLACT) for ROS 2: images in, masks, boxes and classes out.

The map, in the order of imports: a part imports only parts of rows above its own.

    1   structures masks choices errors provenance flushing   what all share; NumPy, no torch
    2   presets findings                                class lists; what a check found; plain data
    3   ops visualization datasets web space tracking   tensors; drawing; pictures; 3D
    4   network scenes recordings                       layers; synthetic scenes with their truth
    5   checkpoints                                     files of weights
    6   inference                                       `Segmenter`: images to instances
    7   export evaluation                               ONNX and torch.export files; COCO metrics
    8   bench training                                  how fast; losses and trainer
    9   ros doctor                                      the node, alone importing ROS; checks
    10  cli                                             the command `yolact-ros`

Each folder's `__init__.py` says what goes in, what comes out and in which order to read its files.
Start with structures.py, then inference/ (the library) or ros/ (the path of a camera's frame).
docs/design.md has the reasons, and for each "where is ...?" the file and the function.
"""

import pkgutil

# In a source tree there is no generated `yolact_ros.msg`; where the built package is on the path
# as well, this merges the two folders. It is a no-op in an installation.
__path__ = pkgutil.extend_path(__path__, __name__)

__version__ = "0.2.0"
