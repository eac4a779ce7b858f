#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tools/scaling on made-up times with known slopes and a known crossover.

test_scaling.py TOOL"""
import json
import os
import subprocess
import sys
import tempfile


def line(op, length, ns, key="len"):
    dims = f"q_len={length},kv_len={length}" if key == "q_len" else f"len={length}"
    return {"type": "case", "verb": "bench", "status": "ok", "op": op, "case": f"{op}@batch=1,{dims},head_dim=8",
            "tags": "scaling", "kernel": op + "_x", "variant": "f32", "asked_kernel": "",
            "asked_variant": "f32", "asked_tuning": "", "work": {"flops": 10.0 * length ** 2},
            "time": {"hot": {"median_ns": ns, "low_ns": ns * 0.99, "high_ns": ns * 1.01}}}


def main(tool):
    header = {"type": "header", "started": "2026-01-01T00:00:00Z",
              "device": {"name": "made <up>", "driver_info": "1"}}
    lines = [header]
    lengths = (64, 128, 256, 512, 1024)
    lines += [line("straight", n, 3000.0 * n) for n in lengths]
    lines += [line("square", n, 10.0 * n * n, "q_len") for n in lengths]
    lines += [line("alone", 64, 1.0)]
    cold = line("straight", 64, 1.0)
    del cold["time"]["hot"]
    lines += [cold, {**line("straight", 1024, 1.0), "case": "straight@batch=1,len=x,head_dim=8"}]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.jsonl")
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(json.dumps(d) + "\n" for d in lines)
            f.write("cut o")
        done = subprocess.run([tool, path], capture_output=True, text=True, timeout=60,
                              check=True)
        empty = subprocess.run([tool, os.devnull], capture_output=True, text=True, timeout=60,
                               check=False)
    wanted = ("slope 1.000, longer half 1.000; over FLOPs 0.500",
              "slope 2.000, longer half 2.000; over FLOPs 1.000",
              "from about 300 on")
    bad = [f"no '{text}' in\n{done.stdout}" for text in wanted if text not in done.stdout]
    if "a.jsonl:15: not a whole line" not in done.stderr:
        bad.append("the line cut off is not named: " + done.stderr)
    if empty.returncode != 1 or "no op has times at two lengths" not in empty.stderr:
        bad.append("an empty file gives no clear error: " + empty.stderr)
    sys.exit("\n".join(bad) or 0)


main(*sys.argv[1:])
