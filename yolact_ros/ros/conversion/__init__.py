# SPDX-License-Identifier: Apache-2.0
"""Arrays and structures to messages; no publishers, no threads.

In: arrays, `Instances`, `Objects` and points. Out: the messages of the result topics. The way back,
messages to arrays, is in `yolact_ros.recordings.images`, which reads those of bags, too.

Read images.py first (arrays to images), then filling.py: it fills messages with the fields that
`yolact_ros.recordings.fields` computes; instances.py and objects.py call it. points.py makes clouds
of points.
"""
