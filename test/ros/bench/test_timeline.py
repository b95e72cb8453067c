# SPDX-License-Identifier: Apache-2.0
"""What a record of minutes amounts to, from records made by hand."""

import os

import numpy as np
import pytest

from yolact_ros.ros.bench.recorder import Recorder, Sample, Told
from yolact_ros.ros.bench.timeline import Span, describe_record, growth_of
from yolact_ros.ros.counters import COUNTERS

S = 10**9


def sample(at_s, megabytes, at_rest=False):
    return Sample(at_s * S, megabytes, 2 * megabytes, 20, 25, at_s * 0.5, at_rest)


def told(at_s, state="active", level=0, **counts):
    return Told(int(at_s * S), level, "", state, dict.fromkeys(COUNTERS, 0) | counts)


def record(told_of, samples=None, seconds=10, arrivals=()):
    samples = samples or [sample(0, 500.0), sample(seconds, 500.0)]
    pairs = np.array(arrivals, dtype=np.int64).reshape(-1, 2)
    recorder = Recorder(samples=samples, told=list(told_of))
    return describe_record(recorder, {"/yolact/instances": pairs}, Span(0, seconds * S))


def test_a_record_without_anything_wrong():
    every_second = [told(at + 0.5, received=at, processed=at) for at in range(10)]
    described = record(every_second, arrivals=[(2 * S, 2 * S + 40_000_000)])
    assert described["problems"] == []
    assert described["longest_gap_s"] == pytest.approx(1.0)
    assert described["age_ms"]["max"] == 40.0
    assert described["ages"] == {"seconds": [2.5], "p50_ms": [40.0], "max_ms": [40.0]}
    assert described["counts"]["processed"] == 9
    assert described["processor_cores"] == 0.5


@pytest.mark.parametrize(
    ("moments", "gap"), [((0.5, 3.0), 2.5), ((2.4, 3.0), 2.4), ((0.5, 1.5), 3.5)]
)
def test_a_gap_is_a_problem_wherever_it_is(moments, gap):
    described = record([told(at) for at in moments], seconds=5)
    assert described["longest_gap_s"] == pytest.approx(gap)
    [problem] = described["problems"]
    assert problem.startswith(f"no /diagnostics for {gap:.1f} s")


@pytest.mark.parametrize(
    ("state", "counts", "is_wrong"),
    [
        ("active", {"received": 3, "processed": 2}, False),  # one is at work
        ("inactive", {"received": 3, "processed": 2}, True),
        ("inactive", {"received": 3, "processed": 2, "stopped": 1}, False),
        ("active", {"received": 3, "processed": 2, "bad": 2}, True),
    ],
)
def test_every_frame_is_in_one_counter(state, counts, is_wrong):
    described = record([told(0.5, state, **counts)], seconds=1)
    assert [problem for problem in described["problems"] if "received 3" in problem] == (
        described["problems"]
    )
    assert bool(described["problems"]) == is_wrong


def test_a_node_that_is_configured_again_takes_no_count_back():
    described = record(
        [told(0.5, received=7, processed=6), told(1.5, received=1), told(2.5, received=2)],
        seconds=3,
    )
    assert described["diagnostics"]["counts"]["received"] == [7, 8, 9]
    assert described["counts"]["processed"] == 6


def test_growth_is_judged_after_two_minutes():
    def described(growth, seconds=400):
        samples = [
            sample(at, 300.0 if at < 110 else 500.0 * (1 + growth * (at - 120) / (seconds - 120)))
            for at in range(seconds + 1)
        ]
        every_second = [told(at + 0.5) for at in range(seconds)]
        return record(every_second, samples, seconds)

    steady = described(0.009)
    assert steady["growth"]["is_judged"] and steady["problems"] == []
    assert 0.007 < steady["growth"]["without_files_mb"]["growth"] < 0.009
    [problem] = described(0.02)["problems"]
    assert problem.startswith("memory without files grew by 1.8%")
    brief = described(0.5, seconds=60)
    assert not brief["growth"]["is_judged"] and brief["problems"] == []


def test_growth_is_that_at_rest_where_there_is_rest():
    samples = [sample(at, 900.0 + at) for at in range(0, 400, 3)]
    resting = {100: 700.0, 150: 500.0, 200: 520.0, 300: 460.0, 390: 520.0}
    samples += [sample(at, megabytes, at_rest=True) for at, megabytes in resting.items()]
    growth = growth_of(sorted(samples, key=lambda one: one.at_ns), Span(0, 400 * S))
    assert (growth["from_s"], growth["to_s"]) == (150, 390)
    assert growth["without_files_mb"]["growth"] == 0  # what comes and goes is no growth
    samples = [sample(at, 500.0 + 0.1 * at, at_rest=True) for at in range(0, 1000, 10)]
    growth = growth_of(samples, Span(0, 1000 * S))
    # 88 MB in all, of which the maxima of the halves show 44
    assert growth["without_files_mb"]["growth"] == pytest.approx(88 / 555, rel=0.02)
    assert growth_of(samples[-1:], Span(0, 400 * S)) is None


def test_a_process_is_sampled_once_a_second():
    recorder = Recorder()
    recorder.sample_if_due()
    assert recorder.samples == []  # nobody yet
    recorder.begin(os.getpid())
    recorder.sample_if_due()
    recorder.sample_if_due()
    [taken] = recorder.samples
    assert 0 < taken.without_files_mb < taken.rss_mb
    assert taken.threads >= 1 and taken.files > 2 and taken.processor_s > 0
