# SPDX-License-Identifier: Apache-2.0
"""The storm of `yolact-ros bench node --storm`: everything that goes wrong around a node, at once.

In: a seed. Out: what happened and what the node did meanwhile, second by second.

Read `plan.py` (what happens, and when), `session.py` (all processes from start to end: a round of
the storm, then a calm in which everything has to work again) and `director.py` (does what is
planned); `camera.py` and `subscriber.py` run as programs that can be told to misbehave, and
`rubbish.py` is what such a camera sends.
"""
