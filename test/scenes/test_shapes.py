# SPDX-License-Identifier: Apache-2.0
"""Ray intersections against values computed by hand."""

import numpy as np
import pytest

from yolact_ros.scenes.shapes import Band, Disk, Face, Hits, Piece, Rays, Torus


def depths(
    piece: Piece, origin: tuple[float, float, float], *rays: tuple[float, float, float]
) -> list[float]:
    """Depths of the rays with these directions; inf where they miss."""
    dx, dy, dz = (np.array(v, np.float32) for v in zip(*rays, strict=True))
    hits = Hits(np.full(len(rays), np.inf, np.float32), np.zeros(len(rays), np.uint8))
    with np.errstate(all="ignore"):
        piece.trace(Rays(origin, dx, dy, dz), hits, 7)
    assert (hits.piece[np.isfinite(hits.depth)] == 7).all()
    return [float(v) for v in hits.depth]


def test_sphere() -> None:
    sphere = Band(0.25, 0.0, -1.0, -0.5, 0.5, (0, 1))
    assert depths(sphere, (-2, 0, 0), (1, 0, 0), (-1, 0, 0), (1, 1, 0), (2, 0, 0)) == pytest.approx(
        [1.5, np.inf, np.inf, 0.75]
    )


def test_cylinder_from_outside_and_its_inside_through_the_opening() -> None:
    wall = Band.frustum(0, 1, 2, 1, (0, 1))
    assert depths(wall, (-3, 0, 1), (1, 0, 0), (1, 0, 0.6)) == pytest.approx([2, np.inf])
    cavity = Band.frustum(0, 1, 2, 1, (0, 1), inner=True)
    # From (-3, 0, 4) down 45 degrees: over the near rim at (-1, 2), onto the far wall at (1, 0).
    assert depths(cavity, (-3, 0, 4.5), (1, 0, -1), (1, 0, -2)) == pytest.approx([4, np.inf])


def test_cone_ends_at_its_apex_and_has_no_second_nappe() -> None:
    cone = Band.frustum(0, 1, 2, 0, (0, 1))
    assert depths(cone, (-3, 0, 1), (1, 0, 0)) == pytest.approx([2.5])
    assert depths(cone, (-3, 0, 3), (1, 0, 0)) == [np.inf]


def test_dome_is_vertical_at_its_wide_end() -> None:
    dome = Band.dome(0, 1, 2, 0.5, (0, 1))
    assert dome.radius(0) == pytest.approx(1)
    assert dome.radius(2) == pytest.approx(0.5)
    assert 1 - dome.radius(0.02) < 1e-4
    upturned = Band.dome(0, 0.5, 2, 1, (0, 1))
    assert 1 - upturned.radius(1.98) < 1e-4


def test_annulus() -> None:
    disk = Disk(0.5, 0.2, 1.0, (0, 1))
    down = (0.0, 0.0, -1.0)
    assert depths(disk, (0.6, 0, 2), down) == pytest.approx([1.5])
    assert depths(disk, (0.1, 0, 2), down) == [np.inf]
    assert depths(disk, (1.1, 0, 2), down) == [np.inf]


def test_box_faces() -> None:
    half = (1.0, 2.0, 3.0)
    faces = [Face(half, axis, (0, 1)) for axis in range(3)]
    ray = (1.0, 0.0, 0.5)
    assert depths(faces[0], (-5, 0, 0), ray) == pytest.approx([4])  # enters at z = 2
    assert depths(faces[1], (-5, 0, 0), ray) == [np.inf]  # neither y face is turned to the camera
    assert depths(faces[2], (-2, 0, -5), (1, 0, 1)) == pytest.approx([2])


def test_torus_and_its_hole() -> None:
    ring = Torus(1.0, 0.25, 2, (0, 1))
    down = (0.0, 0.0, -1.0)
    assert depths(ring, (1, 0, 3), down) == pytest.approx([2.75], abs=1e-3)
    assert depths(ring, (0, 0, 3), down) == [np.inf]
    assert depths(ring, (-3, 0, 0), (1, 0, 0)) == pytest.approx([1.75], abs=1e-3)


def test_handle_is_cut_off_within_the_mug() -> None:
    handle = Torus(0.3, 0.05, 1, (0, 1), center_x=0.5, center_z=1.0, clear=0.5)
    # Along -x at the handle's middle height: outermost tube at x = 0.85.
    assert depths(handle, (3, 0, 1), (-1, 0, 0)) == pytest.approx([2.15], abs=1e-3)
    # The inner side of the torus, at x = 0.2, is inside the mug.
    assert depths(handle, (0.2, -3, 1.0), (0, 1, 0)) == [np.inf]


@pytest.mark.parametrize(
    "piece",
    [
        Band(0.25, 0.0, -1.0, -0.5, 0.5, (0, 1)),
        Band.frustum(0, 1, 2, 0.3, (0, 1)),
        Band.dome(0, 0.5, 1, 1, (0, 1)),
        Disk(0.2, 0, 1, (0, 1)),
        Face((0.5, 0.6, 0.7), 0, (0, 1)),
        Torus(1.0, 0.25, 2, (0, 1)),
        Torus(0.3, 0.05, 1, (0, 1), center_x=0.5, center_z=1.0, clear=0.5),
    ],
)
def test_the_outline_holds_every_hit(piece: Piece) -> None:
    # Pixels outside the projected outline are never traced, so that it must hold the surface.
    rng = np.random.default_rng(0)
    outline = piece.outline()
    hit = 0
    for _ in range(20):
        eye = rng.normal(size=3)
        eye *= 4 / np.linalg.norm(eye)
        toward = rng.uniform(-1.2, 1.2, (300, 3)) - eye
        t = np.array(depths(piece, tuple(eye), *map(tuple, toward)))
        points = eye + t[np.isfinite(t), None] * toward[np.isfinite(t)]
        hit += len(points)
        for direction in rng.normal(size=(40, 3)):
            if len(points):
                assert (points @ direction).max() <= (outline @ direction).max() + 2e-3
    assert hit > 20


def test_a_tapered_mugs_handle_stays_out_of_its_cavity() -> None:
    handle = Torus(
        0.3, 0.05, 1, (0, 1), center_x=0.5, center_z=1.0, clear=0.3, clear_slope=0.2
    )  # fmt: skip
    # The torus passes x = 0.5 +- 0.3 * cos at z = 1.2: the cone's radius there is 0.54.
    cosine = np.sqrt(1 - (0.2 / 0.3) ** 2)
    assert depths(handle, (0.5 - 0.3 * cosine, -3, 1.2), (0, 1, 0)) == [np.inf]
    assert depths(handle, (0.5 + 0.3 * cosine, -3, 1.2), (0, 1, 0)) == pytest.approx(
        [2.95], abs=1e-3
    )
