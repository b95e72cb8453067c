# SPDX-License-Identifier: Apache-2.0
import copy
import dataclasses
import shutil
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from yolact_ros.bench import stages
from yolact_ros.bench.constant_detections import constant_detections, spread_boxes
from yolact_ros.bench.growth import growth_series, measure_growth
from yolact_ros.bench.plots import growth_plot, speed_plot
from yolact_ros.bench.settings import SpeedSettings
from yolact_ros.bench.stages import measure_speed, ratios
from yolact_ros.bench.tables import speed_table
from yolact_ros.bench.timings import percentiles
from yolact_ros.bench.workload import Workload
from yolact_ros.checkpoints import save_checkpoint
from yolact_ros.presets import get_preset
from yolact_ros.structures import RawPredictions
from yolact_testing.networks import random_network, small_plus

SMALL = SpeedSettings(
    preset="yolact_demo",
    device="cpu",
    precision="fp32",
    image_size=(120, 160),
    instances=3,
    frames=2,
    warm_up=1,
)


def test_percentiles_are_interpolated_between_the_nearest_times():
    assert percentiles(np.array([4.0, 1.0, 3.0, 2.0])) == pytest.approx(
        # at indices 1.5, 2.85 and 2.97 of 1, 2, 3, 4
        {"p50_ms": 2.5, "p95_ms": 3.85, "p99_ms": 3.97}
    )
    assert percentiles(np.arange(101.0)) == {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99}


def test_calls_take_turns_and_each_is_timed(monkeypatch):
    monkeypatch.setattr(stages, "_held_memory", lambda device: {})
    order = []

    def call(name):
        def time(images, number):
            order.append(name)
            return {"network": 10.0 * number + len(images), "total": 100.0 * number}

        return time

    workload = SimpleNamespace(
        settings=dataclasses.replace(SMALL, frames=3, warm_up=1),
        segmenter=SimpleNamespace(device=None, warm_up=lambda size, batch: None),
        others={},
        frames=lambda number: ["image"],
        check=lambda: None,
    )
    timings, _ = stages._take_turns({name: call(name) for name in "ab"}, workload)
    assert "".join(order) == "ab" + "ab" + "ba" + "ab"
    assert timings["a"]["network"].tolist() == [1, 11, 21]
    assert timings["b"]["total"].tolist() == [0, 100, 200]


def _summary(total, network, masks, megabytes, **rows):
    times = {"total": total, "network": network, "masks": masks}
    times |= {name: [value] * len(total) for name, value in rows.items()}
    times = {name: np.array(values, dtype=float) for name, values in times.items()}
    summary = stages._summary(times, dataclasses.replace(SMALL, batch=4))
    return summary | {"memory": {"host_peak_mb": megabytes}}


def test_sums_and_ratios_of_known_times():
    ours = _summary([10, 12, 20], [9, 8, 10], [2, 1, 3], 5.0, message=1.0, publish=0.5)
    plain = _summary([60, 48, 40], [20, 27, 28], [8, 30, 9], 50.0)
    assert ours["total"]["p50_ms"] == 12
    assert ours["outside_network"]["p50_ms"] == 4  # of 1, 4, 10, not 12 - 9 of the medians
    assert ours["after_network"]["p50_ms"] == 2
    assert ours["with_messages"]["p50_ms"] == 13.5
    assert ours["frames_per_second"] == pytest.approx(4 / 0.012)
    assert list(ours["stages"]) == ["network", "masks", "message", "publish"]
    assert "with_messages" not in plain
    assert ratios(ours, plain) == {
        "total": 4,
        "after_network": 4.5,
        "outside_network": 5.25,  # 21 of 40, 21, 12
        "network": 3,
        "masks": 4.5,
        "host_peak_mb": 10,
    }
    unknown = {"memory": {"host_peak_mb": None}}
    assert ratios(ours | unknown, plain)["host_peak_mb"] is None
    assert ratios(ours, plain | unknown)["host_peak_mb"] is None
    nothing = {"total": {"p50_ms": 0.0}}
    assert ratios(ours | nothing, plain)["total"] is None


def test_times_come_from_the_clock_around_each_step(monkeypatch):
    now = [0.0]

    def step(milliseconds, result):
        def act(*_):
            now[0] += milliseconds / 1000
            return result

        return act

    class Segment:
        class_names = ("ball",)

        def __init__(self):
            self.timings = {"network": 3.0}

        def __call__(self, images):
            return step(5, [SimpleNamespace(without_empty_masks=lambda: "found")] * 2)()

    around = SimpleNamespace(
        arrive=step(1, "image"), make_messages=step(2, "message"), publish=step(0.5, None)
    )
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    monkeypatch.setattr(stages, "draw_overlay", step(7, None))
    monkeypatch.setattr(stages, "draw_plainly", lambda *_, class_names: step(70, None)())
    workload = SimpleNamespace(
        segmenter=Segment(), baseline=Segment(), others={"torch fp32": Segment()}, settings=SMALL
    )
    calls = stages._calls(workload, around)
    images = ["image"] * 2
    assert {name: call(images, 0) for name, call in calls.items()} == {
        "segmenter": pytest.approx(
            {"network": 3, "arrival": 2, "total": 5, "overlay": 14, "message": 4, "publish": 1}
        ),
        "baseline": pytest.approx({"network": 3, "total": 5, "overlay": 140}),
        "torch fp32": pytest.approx({"network": 3, "total": 5}),
    }
    workload.settings = dataclasses.replace(SMALL, overlay=False)
    for call in stages._calls(workload, None).values():
        assert call(images, 0) == pytest.approx({"network": 3, "total": 5})


@pytest.mark.parametrize("area", [0.05, 0.5, 1.0])
def test_boxes_have_the_area_and_lie_within_the_image(area):
    boxes = spread_boxes(100, area, seed=3)
    assert (boxes >= 0).all() and (boxes <= 1).all()
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    assert areas.mean().item() == pytest.approx(area, rel=2e-3)
    assert len(areas.unique()) > 1
    assert torch.equal(boxes, spread_boxes(100, area, seed=3))


def test_the_best_candidates_are_taken_those_apart_first():
    offsets = torch.zeros(2, 4, 4)
    scores = torch.tensor([[0.9, 0.06, 0.04], [0.9, 0.05, 0.05], [0.97, 0.01, 0.02], [1, 0, 0]])
    # the first two cover one another
    priors = torch.tensor([[0.2, 0.2, 0.2, 0.2], [0.2, 0.2, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2],
                           [0.5, 0.5, 1.0, 1.0]])  # fmt: skip
    found = RawPredictions(
        offsets, scores.expand(2, -1, -1), torch.zeros(2, 4, 5), torch.zeros(2, 6, 6, 5), priors
    )

    def chosen(count):
        fixed = constant_detections(found, count, None)(None, None, found)
        assert fixed.class_scores.shape == (2, 4, 3)
        foreground = fixed.class_scores[1, :, 1:]
        assert foreground.count_nonzero() == count
        return foreground.amax(dim=1).argsort(descending=True)[:count].tolist()

    assert [chosen(count) for count in range(4)] == [[], [0], [0, 2], [0, 2, 3]]
    assert sorted(chosen(4)) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("instances", "box_area"), [(0, 0.05), (1, 0.3), (100, 0.05), (100, 1.0), (7, None)]
)
def test_segmenter_and_baseline_find_what_was_asked_for(instances, box_area):
    settings = dataclasses.replace(
        SMALL, instances=instances, box_area=box_area, baseline=True, batch=2
    )
    workload = Workload(settings)
    workload.check()
    found = workload.segmenter(workload.frames(0))
    if box_area is not None and instances:
        sides = found[1].boxes[:, 2:] - found[1].boxes[:, :2]
        assert sides.prod(axis=1).mean() == pytest.approx(box_area * 120 * 160, rel=0.02)


def test_unequal_work_is_not_measured():
    workload = Workload(dataclasses.replace(SMALL, baseline=True))
    workload.baseline._max_instances = 2
    with pytest.raises(RuntimeError, match=r"the baseline: expected 3 instances .* got 2"):
        workload.check()


@pytest.mark.slow
@pytest.mark.parametrize("make_network", [random_network, small_plus])
def test_segmenter_and_baseline_make_the_same_masks(make_network, tmp_path):
    weights = tmp_path / "weights.safetensors"
    save_checkpoint(make_network(), weights, {})
    work = {"instances": 12, "box_area": 0.2, "image_size": (180, 320)}
    settings = dataclasses.replace(SMALL, preset=None, weights=weights, baseline=True, **work)
    workload = Workload(settings)
    [ours], [plain] = workload.segmenter(workload.frames(0)), workload.baseline(workload.frames(0))
    assert ours.class_ids.tolist() == plain.class_ids.tolist()
    np.testing.assert_allclose(ours.scores, plain.scores, atol=1e-6)
    assert np.abs(ours.boxes - plain.boxes).max() < 1.01  # theirs are whole pixels
    assert plain.masks.dtype == np.float32 and plain.masks.shape == (12, 180, 320)
    assert (plain.mask_scores is None) == (make_network is random_network)
    if plain.mask_scores is not None:
        np.testing.assert_allclose(ours.mask_scores, plain.mask_scores, rtol=2e-3, atol=2e-3)
    both = np.logical_and(ours.masks, plain.masks > 0).sum(axis=(1, 2))
    either = np.logical_or(ours.masks, plain.masks > 0).sum(axis=(1, 2))
    assert either.sum() > 1000
    assert both.sum() / either.sum() > 0.999


def test_masks_of_a_hundred_instances_stay_far_below_full_images():
    workload = Workload(
        dataclasses.replace(SMALL, image_size=(1944, 2592), instances=100, box_area=0.05)
    )
    [found] = workload.segmenter(workload.frames(0))
    peak = stages._peak_memory(workload.segmenter, workload)
    # As floats over the whole image they would be 100 * 5 MP * 4 bytes = 2,016 MB.
    assert 0 < peak["host_peak_after_network_mb"] < peak["host_peak_mb"] < 150
    assert 0 < sum(mask.data.nbytes for mask in found.packed_masks) < 10e6


@pytest.mark.slow
def test_the_result_has_what_it_promises():
    result = measure_speed(dataclasses.replace(SMALL, baseline=True, threads=1, overlay=False))
    for side in (result, result["baseline"]):
        assert {"preprocess", "network", "decode", "masks"} <= set(side["stages"])
        rows = [*side["stages"].values(), *(side[n] for n in ("total", "after_network"))]
        for row in rows:
            assert 0 <= row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]
        stages = sum(row["p50_ms"] for row in side["stages"].values())
        assert stages == pytest.approx(side["total"]["p50_ms"], rel=0.5)
        assert side["memory"]["host_peak_mb"] > 0
        assert side["memory"]["host_peak_after_network_mb"] is not None
    assert result["ratios"]["total"] == pytest.approx(
        result["baseline"]["total"]["p50_ms"] / result["total"]["p50_ms"]
    )
    assert result["machine"]["threads"] == 1
    assert result["settings"]["image_size"] == [120, 160]
    table = speed_table(result)
    assert "2 calls each, in turns; TF32 off; yolact_ros" in table
    [total] = [line for line in table.splitlines() if line.startswith("total ")]
    assert total.endswith(f" {result['ratios']['total']:.2f}")
    assert speed_plot(result).startswith(b"\x89PNG")


def test_threads_and_tf32_are_as_before(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    before = torch.get_num_threads()
    with stages._arithmetic(before + 1):
        assert torch.get_num_threads() == before + 1
        assert not torch.backends.cudnn.allow_tf32
    assert torch.get_num_threads() == before
    assert torch.backends.cudnn.allow_tf32


def test_series_change_one_thing_each():
    base = dataclasses.replace(SMALL, box_area=0.05, image_size=(720, 1280))
    instances, batch, sizes, same_boxes = growth_series(base)
    assert [point[1].instances for point in instances.points][::7] == [0, 100]
    assert [point[1].batch for point in batch.points] == [1, 2, 4, 8]
    assert sizes.points[0][1].image_size == (240, 320)
    assert sizes.points[-1][1].image_size == (2160, 3840)
    assert {point[1].box_area for point in sizes.points} == {0.05}
    pixels = [s.box_area * s.image_size[0] * s.image_size[1] for _, s in same_boxes.points]
    assert len(pixels) > 4
    assert pixels == pytest.approx([pixels[0]] * len(pixels))
    with pytest.raises(ValueError, match="box_area: expected a fraction of the image, got none"):
        growth_series(SMALL)


@pytest.mark.slow
def test_growth_is_measured_and_drawn(monkeypatch):
    monkeypatch.setattr("yolact_ros.bench.growth.INSTANCES", (0, 2))
    monkeypatch.setattr("yolact_ros.bench.growth.BATCHES", (1, 2))
    monkeypatch.setattr("yolact_ros.bench.growth.IMAGE_SIZES", ((64, 64), (96, 128)))
    lines, measured = [], []

    def measure(settings):
        # without and with instances, and a batch; the other points show nothing of their own
        if len(measured) < 2 or (len(measured) == 2 and settings.batch == 2):
            measured.append(measure_speed(settings))
        return copy.deepcopy(measured[-1])

    monkeypatch.setattr("yolact_ros.bench.growth.measure_speed", measure)
    base = dataclasses.replace(SMALL, frames=1, box_area=0.05, overlay=False)
    result = measure_growth(base, lines.append)
    assert len(measured) == 3
    assert [[p["x"] for p in s["points"]] for s in result["series"][:2]] == [[0, 2], [1, 2]]
    assert result["series"][1]["points"][1]["box_megapixels"] == pytest.approx(
        0.05 * 120 * 160 * 3 * 2 / 1e6
    )
    assert len(lines) == 4 + 8
    assert growth_plot(result).startswith(b"\x89PNG")


@pytest.mark.slow
def test_onnx_runtime_stands_beside_torch(exported, monkeypatch):
    file = exported("yolact_demo").path

    def export_network(network, path, *, precision):
        """A network like this one has been exported."""
        assert network.preset == get_preset("yolact_demo") and precision == "fp32"
        shutil.copy(file, path)

    monkeypatch.setattr("yolact_ros.bench.workload.export_network", export_network)
    settings = dataclasses.replace(SMALL, engine="onnxruntime", threads=1, overlay=False)
    result = measure_speed(settings)
    assert result["settings"]["engine"] == "onnxruntime"
    assert result["settings"]["providers"] == ["CPUExecutionProvider"]
    others = result["others"]
    installed = {name for name in ("openvino",) if find_spec(name)}
    assert set(others) == {"torch fp32", *(f"{name} fp32" for name in installed)}
    assert others["torch fp32"]["total"]["p50_ms"] > others["torch fp32"]["network"]["p50_ms"] > 0
    assert result["memory"]["host_peak_after_network_mb"] is not None
    rows = [line.split() for line in speed_table(result).splitlines()]
    shown = {" ".join(row[:2]): row for row in rows}
    for name, times in {"onnxruntime fp32": result["stages"], **others}.items():
        median = times["network"]["p50_ms"]
        row = [f"{median:.2f}", f"{median / result['stages']['network']['p50_ms']:.2f}"]
        assert shown[name][2:4] == row
    assert "1 threads, onnxruntime" in speed_table(result)


def test_engines_that_cannot_be_measured(tmp_path):
    exported = tmp_path / "x.pth"
    exported.write_bytes(b"\x08\x08\x12\x07pytorch")
    with pytest.raises(ValueError, match="is an exported ONNX model, whose weights"):
        Workload(dataclasses.replace(SMALL, weights=exported))
    with pytest.raises(ValueError, match=r"precision: expected one of auto, .* in onnxruntime"):
        Workload(dataclasses.replace(SMALL, engine="onnxruntime", precision="bf16"))
