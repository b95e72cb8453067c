# SPDX-License-Identifier: Apache-2.0
"""Depth images and results in, objects and points out: the part of the node that needs depth.

It runs while somebody subscribes to `~/objects`, `~/detections_3d`, `~/markers` or `~/points`, in a
thread of its own ("yolact-space"), so that neither late depth nor measuring delays what is found in
the images. The path of a depth image, one line per step:

    executor             sources.py                  subscribes, and counts what is lost
    executor             measuring.py                `receive_depth`
    executor             ../../recordings/matching.py  `DepthMatcher.put`: to images of its moment
    yolact-space         worker.py                   a result waits until its depth is there
    yolact-space         measuring.py                `measure`: checks the depth, measures, counts
    yolact-space         transforms.py               finds `space.target_frame` at the image's stamp
    yolact-space         ../outputs.py               publishes the topics that are subscribed to

Every result whose objects are wanted ends in exactly one of `SPACE_OUTCOMES` (../counters.py). What
is wrong with the depth is judged in ../health.py.
"""
