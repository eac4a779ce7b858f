#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A report of five devices with 2000 cases each stays fit to be opened and mailed, and is
made in little memory; a report of more points than can be shown in full says so.

test_size.py PROGRAM MEGABYTES   of memory at most; 0: any"""
import json
import os
import re
import subprocess
import sys
import tempfile

CASES = 2000
PAGE_BYTES = 6e6


def line(i, factor):
    ns = 1e6 * factor * (1 + i % 97)
    samples = [round(ns * (0.99 + 0.001 * k), 1) for k in range(20)]
    timing = {"clock": "timestamps", "n": 20, "median_ns": ns, "low_ns": ns * 0.995,
              "high_ns": ns * 1.005, "min_ns": samples[0], "max_ns": samples[-1],
              "stop": "converged", "per_batch": 1, "groups": 20, "discarded_groups": 0,
              "samples_ns": samples, "canary_ns": [round(5e6 + 1e3 * k, 1) for k in range(24)]}
    name = f"gemm@m={16 + i},n=1024,k=1024,TRANS=nt"
    return {"type": "case", "verb": "bench", "op": "gemm", "case": name, "tags": "quick",
            "asked_kernel": "", "asked_variant": "f32", "asked_tuning": "",
            "kernel": ("gemm_pack", "gemm_tile")[i % 2], "variant": "f32", "tuning": "default",
            "specialization": "WG_SIZE=8,ROWS=4,COLS=4,TRANS=1", "spirv_sha256": ["ab" * 32],
            "chosen": {"by": "probe", "candidates": 4, "runner_up": "gemm_tile.f32[default]",
                       "runner_up_time_ratio": 1.4},
            "seed": 1, "status": "ok", "reason": None,
            "check": {"passed": True, "accuracy": 0.7, "error": 1e-7, "naive_error": 1e-7},
            "time": {"hot": timing, "cold": timing},
            "work": {"flops": 2e6 * (16 + i), "bytes": 1e6, "metric": "flops", "unit": "fma"},
            "repro": f"vkzoo bench '{name}' --kernel gemm_pack --variant f32 --seed 1",
            "efficiency": 0.4, "floor": {"ns": ns * 0.4, "bound": "compute",
                                         "ceiling": "fma f32"}}


def write(path, device, factor, cases):
    rates = [{"op": "copy", "variant": "i32", "rate": 1e10, "unit": "B/s"},
             {"op": "fma", "variant": "f32", "rate": 2e11, "unit": "op/s"}]
    with open(path, "w", encoding="utf-8") as f:
        header = {"schema": "vkzoo-result/1", "type": "header", "verb": "bench",
                  "tool": {"name": "vkzoo", "commit": "abc", "dirty": False},
                  "started": "2026-01-01T00:00:00Z",
                  "device": {"name": device, "driver": "d", "driver_info": "1.0"},
                  "ceilings": {"rates": rates, "empty_dispatch_ns": 5000.0}}
        f.write(json.dumps(header) + "\n")
        for i in range(cases):
            f.write(json.dumps(line(i, factor)) + "\n")
        f.write(json.dumps({"type": "end", "status": "complete", "cases": cases}) + "\n")


def report(program, folder, names):
    """The page, and the most memory that making it took in kB."""
    made = subprocess.Popen([program, "report", *names, "-o", "r.html"], cwd=folder,
                            stderr=subprocess.PIPE, text=True)
    message = made.stderr.read()
    _, status, usage = os.wait4(made.pid, 0)
    if status:
        sys.exit(f"status {status}: {message}")
    with open(os.path.join(folder, "r.html"), encoding="utf-8") as f:
        return f.read(), usage.ru_maxrss


def details_of(page):
    data = re.search(r'id="data">(.*?)</script>', page, re.S).group(1)
    return json.loads(data)["head"]["details"]


def main(program, megabytes):
    program, bad = os.path.abspath(program), []
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{i}.jsonl" for i in range(11)]
        for i, name in enumerate(names):
            write(os.path.join(folder, name), f"device {i}", 1 + 0.1 * i, CASES)
        page, memory = report(program, folder, names[:5])
        print(f"5 x {CASES}: {len(page.encode()) / 1e6:.2f} MB, {memory / 1e3:.0f} MB of memory")
        if len(page.encode()) > PAGE_BYTES:
            bad.append(f"the page has {len(page.encode())} bytes")
        # A parsed line takes 15 kB: five files of them would need half as much again.
        if 0 < float(megabytes) * 1e3 < memory:
            bad.append(f"{memory} kB of memory for five files")
        if not details_of(page):
            bad.append("no samples in a page of five files")
        page, _ = report(program, folder, names)
        if details_of(page):
            bad.append("a page of 22000 points has every sample")
    sys.exit("\n".join(bad) or 0)


main(*sys.argv[1:])
