# SPDX-License-Identifier: Apache-2.0
"""Whatever masks, depth and calibration come: finite results or none, and no other exception."""

import warnings

import hypothesis
import hypothesis.strategies as st
import numpy as np
from hypothesis.extra import numpy as arrays

from yolact_ros.errors import InputError
from yolact_ros.space import Camera, objects, organised_points, sparse_points
from yolact_ros.space.camera import DISTORTION_MODELS
from yolact_testing.instances import instances_of

NUMBERS = st.one_of(
    st.floats(width=64),
    st.sampled_from([0.0, 1.0, -1.0, 30.0, 300.0, 1e6, 1e30, np.nan, np.inf, 10**400]),
)
COEFFICIENTS = st.one_of(st.floats(-1, 1), st.floats(-1e4, 1e4), NUMBERS)
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@st.composite
def calibrations(draw):
    model = draw(st.sampled_from([*DISTORTION_MODELS, "unknown"]))
    lengths = DISTORTION_MODELS.get(model, (0, 3))
    count = draw(st.sampled_from(lengths))
    return {
        "fx": draw(st.one_of(st.floats(1, 1e6), st.floats(10, 100), NUMBERS)),
        "fy": draw(st.one_of(st.floats(1, 1e6), st.floats(10, 100), NUMBERS)),
        "cx": draw(st.one_of(st.floats(-1e6, 1e6), st.floats(0, 40), NUMBERS)),
        "cy": draw(st.one_of(st.floats(-1e6, 1e6), st.floats(0, 40), NUMBERS)),
        "distortion_model": model,
        "distortion": tuple(draw(COEFFICIENTS) for _ in range(count)),
    }


@st.composite
def depths(draw, size):
    kind = draw(st.sampled_from(["any", "plausible", "flat"]))
    if kind == "any":
        return draw(arrays.arrays(np.float32, size, elements=st.floats(width=32)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    if kind == "flat":
        return np.full(size, draw(st.floats(0, 300, width=32)), np.float32)
    depth = rng.choice([0.5, 0.7, 1.2, 3.0], size) + rng.normal(0, 0.003, size)
    return depth.astype(np.float32)


@st.composite
def cases(draw):
    size = draw(SIZES)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    masks = []
    for _ in range(draw(st.integers(1, 4))):
        top, bottom = sorted(rng.integers(0, size[0] + 1, 2))
        left, right = sorted(rng.integers(0, size[1] + 1, 2))
        mask = np.zeros(size, bool)
        mask[top:bottom, left:right] = True
        masks.append(mask & (rng.random(size) < draw(st.sampled_from([0.1, 0.9, 1.0]))))
    factor = draw(st.sampled_from([1, 1, 2]))
    depth = draw(depths((size[0] * factor, size[1] * factor)))
    up = draw(st.one_of(st.none(), st.tuples(NUMBERS, NUMBERS, NUMBERS), st.just((0, -1, 0))))
    return instances_of(masks), depth, draw(calibrations()), up


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(cases())
def test_results_are_finite_and_input_is_refused_in_one_way(case):
    instances, depth, calibration, up = case
    height, width = instances.image_size
    try:
        camera = Camera(width, height, **calibration)
    except InputError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = objects(instances, depth, camera, up)
        except InputError as error:
            assert str(error).startswith("up:")
            found = objects(instances, depth, camera)
        points = sparse_points(instances, depth, camera)
        cloud = organised_points(instances, depth, camera)
    # `Objects` checks that its numbers are finite and in their ranges
    assert len(found) <= len(instances)
    eigenvalues = np.linalg.eigvalsh(found.covariances)
    assert (eigenvalues >= -1e-9 * np.abs(eigenvalues).max(initial=0)).all()
    for name in "xyz":
        assert np.isfinite(points[name]).all()
    assert cloud.shape == instances.image_size
    assert ((cloud["instance"] > 0) == instances.masks.any(axis=0)).all()
    assert len(points) == np.count_nonzero((cloud["instance"] > 0) & np.isfinite(cloud["x"]))
