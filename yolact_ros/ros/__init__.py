# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 node: image messages in, result messages out. Only this folder imports ROS.

The path of an image, one line per step:

    thread               file                        what happens
    (camera's process)   demo/camera.py              publishes sensor_msgs/Image
    executor             subscription.py             counts it: `_receive`
    executor             runtime.py                  `receive` drops it if nobody wants a result
    executor             worker.py, scheduler.py     it replaces the camera's waiting frame: `offer`
    yolact-worker        scheduler.py, worker.py     `due`, `take`: one frame per camera is a batch
    yolact-worker        runtime.py                  `segment`
    yolact-worker        frame.py                    drops it if too old or malformed: `read_frame`
    yolact-worker        ../recordings/images/       message to array, `image_to_array`, or
                                                     `compressed_to_array`
    yolact-worker        region.py                   what the network sees of it: `Region.view`
    yolact-worker        batch.py                    `BatchSegmenter`; if it fails, in halves
    yolact-worker        ../inference/segmenter.py   array to instances
    yolact-worker        worker.py                   `HandOver.give` waits until it is taken
    yolact-publisher     runtime.py                  `publish`
    yolact-publisher     ../tracking/tracker.py      which thing is which: `Tracker.update`
    yolact-publisher     outputs.py                  publishes the topics that are subscribed to
    yolact-publisher     conversion/instances.py     instances to messages
    yolact-space         space/                      depth and instances to objects and points
    yolact-space         ../tracking/in_space.py     how they move: `SpaceTracker.update`

The executor's thread also serves timers, services and parameters. Transitions of the lifecycle,
which take seconds, run in threads of their own (executor.py). A frame ends in exactly one counter
(counters.py): "processed", or where it is dropped: subscription.py, `_receive` ("raised");
runtime.py, `receive`, `segment` and `publish` ("unwanted", "unpublished", "stopped"); worker.py,
`offer` ("replaced") and `stop` ("stopped"); frame.py, `read_frame` ("too_old", "bad"); batch.py,
`_fail` ("failed"). What never reached the node is counted in subscription.py: `_count_lost` ("lost"
in DDS), `_note_number` ("overwritten" before it was taken). What becomes of depth, and of results
whose objects are wanted, is told in space/__init__.py.

The other files of the node, in reading order:

    node.py              the lifecycle node: makes, starts and ends all of the above
    parameters/          the table of parameters, how they are read and checked, QoS
    loading.py           parameters to `Segmenter`
    segment_service.py   `~/segment`: one image on demand, at the worker's next turn
    newest.py            the newest message of each camera, for that
    camera_stream.py     one camera's name, counters and log
    matched_subscription.py  a subscription that follows its publishers
    publishers.py        makes publishers, and tells of subscribers that they do not reach
    counters.py          counts and stage times, shared by the threads
    health.py            level and cause from times and counters: whether the robot sees
    space/               what needs depth: objects and points in space
    diagnostics.py       counters to the message that node.py sends to /diagnostics
    namesakes.py         notices other nodes of the same name
    stamps.py            what a stamp says of an image's age
    logs.py              throttled lines; the core's log records to the node's logger
    compat.py            differences between versions of rclpy
    executor.py          callbacks in one thread, slow services in others
    run.py, signals.py   the process: it spins the node, and ends soon and cleanly
    tuning.py            what is set before libraries are loaded: memory, threads, their output
    fastdds_profile.py   environment variables for DDS
    middleware.py        what to do, in words, when the middleware brings no images
    shared_memory.py     takes away what killed processes left in /dev/shm
    loop.py              order in which synthetic cameras replay frames
    masks.py             the old name of `yolact_ros.masks`

demo/ shows the node, bench/ measures it; both start it through processes/. view/ watches one, for
the page of `yolact-ros view`.
"""
