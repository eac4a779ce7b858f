#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The report's page in a real browser: charts, search, baseline, the view in the URL, no
request, nothing on the console, narrow and wide, and readable with scripts off.

test_page.py PROGRAM   77 without Chromium or without the Vega bundles."""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import browser  # noqa: E402  beside this file

HOSTILE = '</script><img src=x onerror="window.hit=1"><script>window.hit=1</script>&"\''
CASES = (("attention", "f32", 8e6), ("attention", "f16", 6e6), ("gemm", "f32", 3e6))


def line(op, variant, length, ns, status="ok", half=0.005):
    samples = [ns * (0.99 + 0.001 * i) for i in range(20)]
    return {
        "type": "case", "verb": "bench", "op": op, "case": f"{op}@m=8,len={length}",
        "tags": "quick", "asked_kernel": "", "asked_variant": variant, "asked_tuning": "",
        "kernel": op + "_lane", "variant": variant, "tuning": "default",
        "specialization": "WG_SIZE=8", "spirv_sha256": ["ab"], "seed": 1, "status": status,
        "reason": None if status == "ok" else "because", "repro": f"vkzoo bench {op}",
        "chosen": {"by": "probe", "candidates": 3, "runner_up": "x", "runner_up_time_ratio": 2.0},
        "check": {"passed": True, "accuracy": 0.7, "error": 1e-7, "naive_error": 1e-7},
        "time": {"hot": {"median_ns": ns, "low_ns": ns * (1 - half), "high_ns": ns * (1 + half), "n": 20,
                         "groups": 20, "discarded_groups": 0, "stop": "converged",
                         "samples_ns": samples, "canary_ns": [1e6] * 20}},
        "work": {"flops": 1e8 * length, "bytes": 1e6 * length, "metric": "flops", "unit": "fma"},
        "efficiency": 0.4, "floor": {"ns": ns * 0.4, "bound": "compute", "ceiling": "fma f32"}}


def result(name, factor, failed=False, half=0.005):
    rates = [{"op": "copy", "variant": "i32", "rate": 1e10, "unit": "B/s"},
             {"op": "fma", "variant": "f32", "rate": 2e11, "unit": "op/s"}]
    lines = [{"schema": "vkzoo-result/1", "type": "header", "verb": "bench",
              "tool": {"name": "vkzoo", "commit": "abc", "dirty": False},
              "started": "2026-01-01T00:00:00Z",
              "device": {"name": name, "driver": "d", "driver_info": "1.0"},
              "ceilings": {"rates": rates, "empty_dispatch_ns": 5000.0}}]
    for op, variant, ns in CASES:
        for length in (64, 128, 256):
            lines.append(line(op, variant, length, ns * factor * length, half=half))
    if failed:
        lines.append(line("gemv", "f32", 64, 1e6, "failed"))
    lines.append({"type": "end", "status": "complete", "cases": len(lines) - 1})
    return "".join(json.dumps(x) + "\n" for x in lines)


def check_scripted(page, url, bad):
    page.open(url)
    for chart in ("speedup", "heatmap", "scaling", "roofline", "accuracy"):
        page.run(f"document.querySelector('[data-chart={chart}]').scrollIntoView()")
        drawn = page.wait(
            f"!!document.querySelector('[data-chart={chart}] svg.marks, "
            f"[data-chart={chart}] canvas') && document.querySelector("
            f"'[data-chart={chart}]').clientWidth > 200")
        if drawn is None:
            bad.append(f"chart {chart} is not drawn")
    shown = "[...document.querySelectorAll('#cases-table tbody tr')].filter(r => !r.hidden).length"
    total = page.run(shown)
    page.run("(() => { const s = document.getElementById('search'); s.value = 'attention';"
             "s.dispatchEvent(new Event('input')); })()")
    if not page.run(shown) or not page.run(shown) < total:
        bad.append(f"search shows {page.run(shown)} of {total} rows")
    mean = "document.querySelector('#means-table tbody').rows[1].cells[1].textContent"
    before = page.run(mean)
    page.run("(() => { const s = document.getElementById('baseline'); s.value = '1';"
             "s.dispatchEvent(new Event('input')); })()")
    if page.run(mean) != "1.000" or before == "1.000":
        bad.append(f"the baseline switch: {before} became {page.run(mean)}")
    # Against "two", "wide" (0.52, +-10 %) cannot be told; the others can.
    page.run("(() => { const s = document.getElementById('search'); s.value = '';"
             "s.dispatchEvent(new Event('input')); })()")
    grey = ("document.querySelectorAll('[data-chart=speedup] .mark-symbol path"
            "[fill=\"#8c8c8c\"]').length")
    if page.wait(grey + f" === {3 * len(CASES)}", 10) is None:
        bad.append(f"{page.run(grey)} dots are grey, not {3 * len(CASES)}")
    page.run("(() => { const s = document.getElementById('search'); s.value = 'attention';"
             "s.dispatchEvent(new Event('input')); })()")
    fragment = page.run("location.hash")
    if "base=1" not in fragment or "q=attention" not in fragment:
        bad.append("the URL does not hold the view: " + fragment)
    page.open("about:blank")
    page.open(url + fragment)
    if page.run("document.getElementById('search').value") != "attention" or \
            page.run(mean) != "1.000":
        bad.append("the view is not restored from the URL")
    page.run("document.querySelector('#cases-table th.number').click()")
    if not page.run("!!document.querySelector('#cases-table th[aria-sort=ascending]')"):
        bad.append("a click on a heading does not sort")
    page.run("document.querySelector('#cases-table tbody tr:not([hidden])').click()")
    if not page.run("!document.getElementById('detail').hidden && "
                    "document.querySelectorAll('#detail svg').length > 1"):
        bad.append("a click on a case shows no samples")
    page.run("dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape'}))")
    rows = "[...document.querySelectorAll('#cases-table tbody tr:not([hidden])')]"
    stops = "document.querySelectorAll('#cases-table tbody tr[tabindex=\"0\"]').length"
    if not page.run("document.getElementById('detail').hidden") or \
            not page.run(f"document.activeElement === {rows}[0]") or page.run(stops) != 1:
        bad.append("Escape does not lead back to the row, or several rows are tab stops")
    page.run("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', "
             "{key: 'ArrowDown', bubbles: true}))")
    if not page.run(f"document.activeElement === {rows}[1]") or page.run(stops) != 1:
        bad.append("the arrow keys do not go from row to row")
    page.run("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', "
             "{key: 'Enter', bubbles: true}))")
    if page.run("document.getElementById('detail').hidden"):
        bad.append("Enter does not open a row")
    page.run("document.getElementById('theme').click()")
    if page.run("getComputedStyle(document.body).backgroundColor") != "rgb(20, 24, 28)":
        bad.append("the dark theme is not dark")
    if page.run("window.hit"):
        bad.append("a text of a result file ran as a script")
    outside = [u for u in page.requests if not u.startswith(("file:", "data:", "about:", "blob:"))]
    if outside:
        bad.append("requests: " + " ".join(outside))
    if page.console:
        bad.append("console: " + " | ".join(page.console))


def check_width(page, url, width, bad):
    page.open(url)
    if page.run("document.documentElement.scrollWidth") > width:
        bad.append(f"the page is wider than {width} px")


def check_many(page, url, runs, bad):
    """Of many runs: ranges in the table, every run in the panel."""
    page.open(url)
    heads = "[...document.querySelectorAll('#cases-table thead th')].map(h => h.textContent)"
    if "fastest" not in page.run(heads):
        bad.append(f"{runs} runs have a column each")
    page.run("document.querySelectorAll('#cases-table th.number')[1].click()")
    times = page.run("[...document.querySelectorAll('#cases-table tbody tr')]"
                     ".map(r => Number(r.cells[4].dataset.v))")
    if times != sorted(times) or len(set(times)) < 2:
        bad.append(f"the fastest times are not in order: {times}")
    page.run("document.querySelector('#cases-table tbody tr').click()")
    if page.run("document.querySelectorAll('#detail h4').length") != runs:
        bad.append("the panel does not list every run")
    if page.console:
        bad.append("console, many runs: " + " | ".join(page.console))


def main(program):
    program = os.path.abspath(program)
    if not browser.find():
        print("no Chromium here: skipped")
        sys.exit(77)
    bad = []
    with tempfile.TemporaryDirectory() as folder:
        texts = {"a.jsonl": result("one", 1.0), "b.jsonl": result("two " + HOSTILE, 0.5, True),
                 "wide.jsonl": result("wide", 0.52, half=0.1),
                 "cut.jsonl": result("three", 2.0)[:-300], "empty.jsonl": "",
                 "twice.jsonl": result("one", 1.0), "odd.jsonl": "{}\n[1]\n",
                 "newer.jsonl": result("one", 1.0).replace("vkzoo-result/1", "vkzoo-result/9")}
        for name, text in texts.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(text)
        made = subprocess.run([program, "report", *texts, "-o", "r.html"], cwd=folder,
                              capture_output=True, text=True, timeout=60)
        if made.returncode:
            sys.exit(f"status {made.returncode}: {made.stderr}")
        for name in ("cut.jsonl", "empty.jsonl", "twice.jsonl", "odd.jsonl", "newer.jsonl"):
            if made.stderr.count("vkzoo: " + name) != 1:
                bad.append(f"{name} is not named in one line:\n{made.stderr}")
        with open(os.path.join(folder, "r.html"), encoding="utf-8") as f:
            text = f.read()
        if "window.hit" in text.replace("&quot;window.hit", "").split('id="data"')[0] and \
                "<img src=x" in text:
            bad.append("a text of a result file is not escaped")
        if "vegaEmbed" not in text:
            print("no Vega bundles in this build: skipped")
            sys.exit(77)
        url = "file://" + os.path.join(folder, "r.html")
        for width in (1600, 360):
            page = browser.Browser(width, 900)
            try:
                if width == 1600:
                    check_scripted(page, url, bad)
                check_width(page, url, width, bad)
            finally:
                page.close()
        many = [f"many{i}.jsonl" for i in range(18)]
        for i, name in enumerate(many):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(result(f"device {i}", 1 + 0.1 * i))
        subprocess.run([program, "report", *many, "-o", "many.html"], cwd=folder,
                       capture_output=True, timeout=60, check=True)
        page = browser.Browser(1200, 900)
        try:
            check_many(page, "file://" + os.path.join(folder, "many.html"), len(many), bad)
        finally:
            page.close()
        page = browser.Browser(1200, 900, scripts=False)
        try:
            page.open(url)
            tree = page.call("Accessibility.getFullAXTree")["nodes"]
            names = " ".join(str(n.get("name", {}).get("value", "")) for n in tree)
            for wanted in ("What was compared", "Geometric means by family", "attention"):
                if wanted not in names:
                    bad.append(f"without scripts the page does not say '{wanted}'")
        finally:
            page.close()
    sys.exit("\n".join(bad) or 0)


main(*sys.argv[1:])
