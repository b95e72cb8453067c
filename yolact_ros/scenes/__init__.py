# SPDX-License-Identifier: Apache-2.0
"""Synthetic RGB-D scenes with ground truth: a seed and a time go in, a `SceneFrame` comes out.

Read `scene` first: `Scene.random` puts objects on a table, `Scene.single` shows one alone or half
hidden, `Scene.lanes` lets things pass before and behind one another, `Scene.frame` renders them.
Then, in the order of a frame: `staging` chooses bodies and where they are; `objects` and
`extra_objects` build `solids` from `shapes` with `textures`; `layout` poses and moves them, along
`paths` too, as `lanes` does; `camera` projects; `ground` draws the table with its `surfaces` and
`shadows`; `rendering` casts rays at each object, `shading` colours the hits; `sensor` adds noise,
or a `depth_model` does; `truth` describes the objects, `visible` the boxes of what is seen of them.
`synth_set` writes many scenes as a data set in COCO's format; `seeds` says which scenes have which
use. Nothing here needs torch.
"""

from .depth_model import DEPTH_MODELS, DepthModel
from .scene import Scene, SceneFrame, SceneObject
from .seeds import SEEDS

__all__ = ["DEPTH_MODELS", "SEEDS", "DepthModel", "Scene", "SceneFrame", "SceneObject"]
