#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What other tools read is in the exported JSON, and says what the result file says.

test_export.py TOOL   TOOL is the built report_tool.
"""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "data")


def export(tool, kind, *samples):
    done = subprocess.run([tool, f"export-{kind}", "80", *(f"{s}.jsonl" for s in samples)],
                          cwd=DATA, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        return done.stderr
    # Lines of the file that were left out come before the text.
    return json.loads(done.stdout[done.stdout.index("\n{") if not
                                  done.stdout.startswith("{") else 0:])


def cases(sample):
    with open(os.path.join(DATA, f"{sample}.jsonl"), encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    return [v for v in lines if v["type"] == "case" and "time" in v]


def check_google(tool):
    found = export(tool, "google-benchmark", "good")
    assert {"date", "host_name", "num_cpus", "library_build_type"} <= set(found["context"])
    for case in cases("good"):
        name = f"{case['case']}/{case['variant']}"
        hot = case["time"]["hot"]
        runs = [b for b in found["benchmarks"] if b["name"] == name]
        assert len(runs) == len(hot["samples_ns"]), name
        assert [b["real_time"] for b in runs] == hot["samples_ns"], name
        for b in runs:
            assert b["run_type"] == "iteration" and b["run_name"] == name
            assert b["time_unit"] == "ns" and b["cpu_time"] == b["real_time"]
            assert b["repetitions"] == len(runs) and b["iterations"] >= 1
        (median,) = [b for b in found["benchmarks"] if b["name"] == f"{name}_median"]
        assert median["run_type"] == "aggregate" and median["aggregate_name"] == "median"
        assert median["real_time"] == hot["median_ns"], name
    trouble = export(tool, "google-benchmark", "trouble")["benchmarks"]
    assert any(b.get("error_occurred") and b["error_message"] for b in trouble)
    assert any(b.get("skipped") and b["skip_message"] for b in trouble)


def value_of(state, tag):
    for summary in state["summaries"]:
        if summary["tag"] == tag:
            (data,) = summary["data"]
            assert data["name"] == "value" and data["type"] in ("float64", "int64")
            return float(data["value"])
    return None


def check_nvbench(tool):
    found = export(tool, "nvbench", "good")
    assert found["meta"]["version"]["json"]["major"] == 1
    assert found["devices"][0]["id"] == 0 and found["devices"][0]["name"]
    states = {}
    for bench in found["benchmarks"]:
        assert bench["devices"] == [0]
        axes = {a["name"]: [v["value"] for v in a["values"]] for a in bench["axes"]}
        for state in bench["states"]:
            for value in state["axis_values"]:
                assert value["value"] in axes[value["name"]]
            values = {v["name"]: v["value"] for v in state["axis_values"]}
            states[f"{bench['name']}@{values['Case']}", values["Variant"]] = state
    for case in cases("good"):
        state = states[case["case"], case["variant"]]
        assert state["is_skipped"] is False
        for kind, tag in (("cold", "nv/cold/time/gpu/mean"),
                          ("hot", "nv/batch/time/gpu/mean")):
            timing = case["time"].get(kind)
            if timing:
                samples = timing["samples_ns"]
                mean = sum(samples) / len(samples) * 1e-9
                assert abs(value_of(state, tag) / mean - 1) < 1e-6, (tag, case["case"])
    skipped = [s for b in export(tool, "nvbench", "trouble")["benchmarks"]
               for s in b["states"] if s["is_skipped"]]
    assert skipped and all("skip_reason" in s for s in skipped)


def check_refused(tool):
    assert "one run" in export(tool, "nvbench", "good", "other")
    assert "expected google-benchmark or nvbench" in export(tool, "xml", "good")


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv[1])
    check_google(TOOL)
    check_nvbench(TOOL)
    check_refused(TOOL)
