# SPDX-License-Identifier: Apache-2.0
"""How well things are recognised: a segmenter goes in, figures of trackers on films come out.

Read `film` first: what is true of a frame, and what a tracker gets. `bytetrack` is the plain
tracker to compare with. `measure` runs trackers over films and holds their tracks against the
truth; `report` writes figures as tables. The metrics are those of motmetrics, which
requirements/tracking.txt has.
"""
