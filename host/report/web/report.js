// SPDX-License-Identifier: MIT
// What the page does beyond its tables: charts, baseline, search, sort, a view in the URL.
"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const byId = (id) => document.getElementById(id);
  const { head, rows: lines } = read("data"), specs = read("specs");
  const { runs, texts } = head;
  document.documentElement.classList.add("scripted");

  // ---- Rows and points: positions as page_data.c writes them ----
  const number = (x) => x ?? undefined;
  const rows = lines.map((l, i) => {
    const [op, family, name, variant, asked, flops, bytes, kind, series, length, verdicts, ps] = l;
    const row = { i, op, family, case: name, variant, asked, flops, bytes, kind, verdicts, points: [] };
    const work = kind === "o" ? {} : { flops: number(flops), bytes: number(bytes) };
    const along = series ? { series, length } : {};
    for (const p of ps) {
      row.points[p[0]] = { run: runs[p[0]], op, family, case: name, variant, asked, row, counts: !!p[1],
        ns: number(p[2]), low: number(p[3]), high: number(p[4]), efficiency: number(p[5]),
        accuracy: number(p[6]), kernel: texts[p[7]], ceiling: texts[p[8]], ...work, ...along,
        status: texts[p[9]], reason: texts[p[10]], details: p.slice(11) };
    }
    row.text = [op, name, variant, asked, ...new Set(row.points.filter(Boolean)
      .flatMap((p) => [p.kernel, p.status, p.reason]))].join(" ").toLowerCase();
    return row;
  });

  // ---- The view: what the URL's fragment says ----
  const plainView = { base: "0", q: "", family: "", variant: "", sort: "", theme: "" };
  const state = { ...plainView };
  const parse = () => {
    Object.assign(state, plainView);
    for (const part of location.hash.slice(1).split("&")) {
      const at = part.indexOf("=");
      const key = part.slice(0, at);
      if (at > 0 && Object.hasOwn(state, key)) {
        try { state[key] = decodeURIComponent(part.slice(at + 1)); } catch { /* as it was */ }
      }
    }
    if (!/^\d+$/.test(state.base) || Number(state.base) >= runs.length) state.base = "0";
  };
  const keep = () => {
    const text = Object.entries(state).filter(([k, v]) => v && !(k === "base" && v === "0"))
      .map(([k, v]) => k + "=" + encodeURIComponent(v)).join("&");
    history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
  };
  const wanted = (row) => (!state.family || row.family === state.family) &&
    (!state.variant || row.variant === state.variant) &&
    (!state.q || row.text.includes(state.q.toLowerCase()));

  // ---- Theme ----
  const dark = () => state.theme ? state.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const applyTheme = () => {
    if (state.theme) document.documentElement.dataset.theme = state.theme;
  };

  // ---- Means against a baseline: as the program's, cases in ops in families ----
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const means = (run, base) => {
    const families = new Map();
    let cases = 0;
    for (const row of rows) {
      const a = row.points[base], b = row.points[run];
      if (!a?.counts || !b?.counts) continue;
      cases++;
      if (!families.has(row.family)) families.set(row.family, new Map());
      const ops = families.get(row.family);
      if (!ops.has(row.op)) ops.set(row.op, []);
      ops.get(row.op).push(Math.log(a.ns / b.ns));
    }
    const result = new Map();
    for (const [family, ops] of families) result.set(family, mean([...ops.values()].map(mean)));
    return { result, cases, all: result.size ? mean([...result.values()]) : NaN };
  };
  let shownBase = "0"; // the program wrote the table for the first run
  const showMeans = () => {
    if (state.base === shownBase) return;
    shownBase = state.base;
    const names = [...byId("means-table").tHead.rows[0].cells].map((c) => c.textContent);
    for (const row of byId("means-table").tBodies[0].rows) {
      const m = means(Number(row.dataset.run), Number(state.base));
      [...row.cells].forEach((cell, c) => {
        if (c === 0) return;
        const value = c === 1 ? Math.exp(m.all) : c === names.length - 1 ? m.cases
          : Math.exp(m.result.get(names[c]) ?? NaN);
        cell.textContent = Number.isFinite(value)
          ? (c === names.length - 1 ? String(value) : value.toFixed(3)) : "–";
        if (Number.isFinite(value)) cell.dataset.v = value; else delete cell.dataset.v;
      });
    }
  };

  // ---- Speed-ups: intervals from those of the medians, verdicts from the program ----
  const names = { f: "faster", s: "slower", "=": "same", "?": "cannot tell" };
  const opposite = { f: "s", s: "f" };
  const verdict = (row, base, run) => {
    const a = Math.min(base, run), b = Math.max(base, run), n = runs.length;
    if (!head.paired && a > 0) return "cannot tell"; // not judged: too many pairs
    const letter = row.verdicts[a * n - a * (a + 1) / 2 + b - a - 1];
    return names[a === base ? letter : opposite[letter] ?? letter];
  };
  const speedups = (shown) => {
    const base = Number(state.base), out = [];
    for (const row of shown) {
      const a = row.points[base];
      if (!a?.counts) continue;
      row.points.forEach((b, run) => {
        if (run === base || !b.counts) return;
        const half = Math.hypot(Math.log(a.high / a.low) / 2, Math.log(b.high / b.low) / 2);
        const middle = Math.log(a.ns / b.ns);
        out.push({ run: b.run, op: row.op, family: row.family, case: row.case,
          variant: row.variant, asked: row.asked, kernel: b.kernel, speedup: Math.exp(middle), slow: Math.exp(middle - half),
          fast: Math.exp(middle + half), verdict: verdict(row, base, run) });
      });
    }
    return out;
  };

  // ---- Charts ----
  const MOST_MARKS = 20000, MOST_ROWS = 250, SVG_MARKS = 2500;
  const ready = typeof vegaEmbed === "function";
  const colors = () => {
    const css = getComputedStyle(document.documentElement);
    const [fg, dim, line] = ["--fg", "--dim", "--line"].map((v) => css.getPropertyValue(v).trim());
    return { axis: { labelColor: fg, titleColor: fg, gridColor: line, domainColor: dim,
      tickColor: dim }, legend: { labelColor: fg, titleColor: fg }, view: { stroke: line } };
  };
  const plain = ({ row, details, ...point }) => point;
  const note = (holder, text) => {
    let p = holder.nextElementSibling;
    if (!p?.classList.contains("chart-note")) {
      p = document.createElement("p");
      p.className = "note chart-note";
      holder.after(p);
    }
    p.textContent = text;
  };
  const views = new Map(); // of what is drawn, to be given back
  const say = (holder, message) => {
    const p = document.createElement("p");
    p.className = "no-chart";
    p.textContent = message;
    holder.replaceChildren(p);
    note(holder, "");
    holder.dataset.drawn = "1";
  };
  // The data of one chart, or the words that stand in its place.
  const chartData = (name) => {
    let shown = rows.filter(wanted), remark = "";
    if (name === "speedup") {
      const dots = speedups(shown);
      if (!dots.length) return { message: "There is no second run with the same cases." };
      if (!head.paired && state.base !== "0")
        remark = "Of so many points only those against the first run are judged: all are grey.";
      return { sets: { speedups: dots }, marks: dots.length, remark };
    }
    if (name === "heatmap") {
      shown = shown.filter((r) => r.points.some((p) => p?.counts && p.efficiency !== undefined));
      if (shown.length > MOST_ROWS) {
        remark = `The first ${MOST_ROWS} of ${shown.length} cases: search, or choose a family, ` +
          "to see others.";
        shown = shown.slice(0, MOST_ROWS);
      }
    }
    const needs = { heatmap: (p) => p.efficiency !== undefined,
      scaling: (p) => p.length !== undefined,
      roofline: (p) => p.flops > 0 && p.bytes > 0,
      accuracy: (p) => p.efficiency !== undefined && p.accuracy > 0 }[name];
    const points = shown.flatMap((r) => r.points.filter((p) => p?.counts && needs(p)));
    if (!points.length)
      return { message: name === "scaling" ? "No two cases differ in their length alone."
        : "No case of this view has the numbers for this chart." };
    return { sets: { points: points.map(plain), roofs: head.roofs }, marks: points.length, remark };
  };
  let turn = 0;
  const draw = async (holder, mine) => {
    const name = holder.dataset.chart, data = chartData(name);
    views.get(holder)?.finalize();
    views.delete(holder);
    if (data.message) return say(holder, data.message);
    if (data.marks > MOST_MARKS)
      return say(holder, `${data.marks} marks are too many to draw: search, or choose a ` +
        "family or variant at the table of cases.");
    const spec = { ...structuredClone(specs[name]), datasets: data.sets, background: null };
    if (name === "speedup") { // as high as its rows: a container's width needs a number here
      const ops = new Set(data.sets.speedups.map((p) => p.op)).size;
      const others = new Set(data.sets.speedups.map((p) => p.run)).size;
      spec.height = ops * Math.max(16, 9 * others);
    }
    const view = await vegaEmbed(holder, spec, { actions: { export: true, source: false,
      compiled: false, editor: false }, config: colors(),
      renderer: data.marks > SVG_MARKS ? "canvas" : "svg",
      tooltip: { theme: dark() ? "dark" : "light" } });
    if (mine !== turn) return view.finalize();
    views.set(holder, view);
    holder.querySelector("summary")?.setAttribute("aria-label", "Save the chart as a picture");
    note(holder, data.remark ?? "");
    holder.dataset.drawn = "1";
  };
  const seen = new Set();
  const drawAll = () => {
    if (!ready) return;
    turn++;
    for (const holder of document.querySelectorAll(".chart")) {
      if (seen.has(holder)) draw(holder, turn);
    }
  };
  if (ready) {
    for (const p of document.querySelectorAll(".chart .no-chart")) p.textContent = "…";
    // A chart is drawn when it comes near: the page opens at once.
    const watch = new IntersectionObserver((entries) => {
      for (const e of entries) {
        if (!e.isIntersecting || seen.has(e.target)) continue;
        seen.add(e.target);
        draw(e.target, turn);
      }
    }, { rootMargin: "300px" });
    document.querySelectorAll(".chart").forEach((c) => watch.observe(c));
    addEventListener("beforeprint", () => document.querySelectorAll(".chart").forEach((c) => {
      if (!seen.has(c)) { seen.add(c); draw(c, turn); }
    }));
  }

// ---- The table of cases: search, filters ----
  const table = byId("cases-table"), body = table.tBodies[0];
  [...body.rows].forEach((tr, i) => { rows[i].tr = tr; });
  const rowOf = new Map(rows.map((row) => [row.tr, row]));
  for (const v of [...new Set(rows.map((r) => r.variant))].sort()) byId("variant").add(new Option(v));
  const filter = () => {
    let shown = 0;
    for (const row of rows) {
      const show = wanted(row);
      if (row.tr.hidden === show) row.tr.hidden = !show;
      shown += show;
    }
    byId("shown").textContent = `${shown} of ${rows.length}`;
    rove();
  };

  // ---- Sorting any table by any column ----
  const columnOf = (th) => {
    // Two header rows: the second's cells stand under the spanning ones of the first.
    const top = th.closest("thead").rows[0];
    if (th.parentElement === top) return th.cellIndex;
    return [...top.cells].filter((c) => c.rowSpan > 1).length + th.cellIndex;
  };
  // What orders the cells of the cases: time, rate and fraction of the floor of each run.
  const measured = (row, at) => {
    const p = row.points[Math.floor(at / 3)];
    if (p?.ns === undefined) return p?.status ?? "";
    return [p.ns, (row.kind === "b" ? row.bytes : row.flops) / p.ns, p.efficiency ?? ""][at % 3];
  };
  const sortBy = (t, th, descending) => {
    const column = columnOf(th);
    const value = (tr) => {
      if (t === table && column >= 3 && head.tabled) return measured(rowOf.get(tr), column - 3);
      const cell = tr.cells[column];
      if (!cell) return "";
      return cell.dataset.v !== undefined ? Number(cell.dataset.v) : cell.textContent;
    };
    const compare = (a, b) => {
      const x = value(a), y = value(b);
      if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1; // numbers first
      const order = typeof x === "number" ? x - y : x.localeCompare(y, undefined, { numeric: true });
      return descending ? -order : order;
    };
    const b = t.tBodies[0];
    b.append(...[...b.rows].sort(compare));
    t.querySelectorAll("th[aria-sort]").forEach((h) => h.removeAttribute("aria-sort"));
    th.setAttribute("aria-sort", descending ? "descending" : "ascending");
  };
  for (const t of document.querySelectorAll("table")) {
    const heads = [...t.tHead.querySelectorAll("th")].filter((h) => h.colSpan === 1);
    heads.forEach((th, n) => {
      th.classList.add("sortable");
      th.tabIndex = 0;
      th.setAttribute("role", "columnheader");
      const act = () => {
        const descending = th.getAttribute("aria-sort") === "ascending";
        sortBy(t, th, descending);
        state.sort = `${t.id}.${n}.${descending ? "d" : "a"}`;
        keep();
      };
      th.addEventListener("click", act);
      th.addEventListener("keydown", (e) => {
        if (e.key === "Enter" || e.key === " ") { e.preventDefault(); act(); }
      });
    });
  }
  const applySort = () => {
    const [id, n, way] = state.sort.split(".");
    const t = id && byId(id);
    if (!t || !t.tHead) return;
    const heads = [...t.tHead.querySelectorAll("th")].filter((h) => h.colSpan === 1);
    if (heads[Number(n)]) sortBy(t, heads[Number(n)], way === "d");
  };

  // ---- One case: samples, canary, how to run it again ----
  const add = (parent, tag, text) => {
    const e = parent.appendChild(document.createElement(tag));
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const strip = (parent, values, label) => {
    const width = 420, height = 46, space = "http://www.w3.org/2000/svg";
    const low = Math.min(...values), high = Math.max(...values, low + 1);
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `${label}: ${(low / 10).toFixed(1)} % to ${(high / 10).toFixed(1)} %`);
    values.forEach((v, i) => {
      const dot = document.createElementNS(space, "circle");
      dot.setAttribute("cx", 6 + i * (width - 12) / Math.max(1, values.length - 1));
      dot.setAttribute("cy", height - 5 - (v - low) / (high - low) * (height - 10));
      dot.setAttribute("r", 2.5);
      dot.setAttribute("fill", "currentColor");
      svg.append(dot);
    });
    add(parent, "p", `${label}, in order: ${(low / 10).toFixed(1)} % to ${(high / 10).toFixed(1)} %`);
    parent.append(svg);
  };
  const panel = byId("detail");
  let back = null;
  const close = () => {
    panel.hidden = true;
    if (back) stopAt(back);
    rove(); // the row may have been filtered away
    if (back) (stop ?? byId("search")).focus();
    back = null;
  };
  const open = (tr) => {
    panel.textContent = "";
    back = tr;
    const button = add(panel, "button", "Close");
    button.className = "close";
    button.addEventListener("click", close);
    add(panel, "h3", tr.cells[0].textContent + " " + tr.cells[1].textContent + " " +
      tr.cells[2].textContent);
    const row = rowOf.get(tr);
    row.points.forEach((p, run) => {
      const [tuning, spec, repro, second, candidates, ratio, marks, samples, canary, statistics] =
        p.details;
      add(panel, "h4", runs[run] + (p.ns === undefined ? "" : `: ${(p.ns / 1e3).toPrecision(4)} µs`));
      add(panel, "p", [p.status, p.reason, p.kernel, texts[tuning], texts[spec]]
        .filter(Boolean).join("; "));
      if (marks) add(panel, "p", "! " + marks);
      if (texts[second] && ratio) add(panel, "p", `Chosen by a probe among ${candidates}; the ` +
        `next, ${texts[second]}, took ${ratio.toFixed(2)} times as long.`);
      if (samples?.length) strip(panel, samples, "Samples, of the median");
      if (canary?.length) strip(panel, canary, "Canary, of its first");
      if (texts[repro]) add(add(panel, "p"), "code", texts[repro]);
      if (statistics) add(panel, "pre", JSON.stringify(statistics, null, 1));
    });
    if (!head.details) add(panel, "p", "With so many points the page holds no samples; make " +
      "a report of fewer files to see them.");
    panel.hidden = false;
    button.focus();
  };
  // One row is in the order of Tab; the arrow keys go from row to row.
  let stop = null;
  const stopAt = (tr) => {
    if (stop) stop.tabIndex = -1;
    stop = tr;
    if (stop) stop.tabIndex = 0;
  };
  const rove = () => { if (!stop || stop.hidden) stopAt([...body.rows].find((tr) => !tr.hidden)); };
  const neighbour = (tr, way) => {
    do { tr = tr[way]; } while (tr?.hidden);
    return tr;
  };
  body.classList.add("clickable");
  body.addEventListener("click", (e) => { const tr = e.target.closest("tr"); if (tr) open(tr); });
  body.addEventListener("keydown", (e) => {
    const tr = e.target.closest("tr");
    const to = e.key === "ArrowDown" ? neighbour(tr, "nextElementSibling")
      : e.key === "ArrowUp" ? neighbour(tr, "previousElementSibling") : null;
    if (e.key === "Enter" || e.key === " ") { e.preventDefault(); open(tr); }
    else if (to) { stopAt(to); to.focus(); e.preventDefault(); }
  });
  addEventListener("keydown", (e) => { if (e.key === "Escape") close(); });

  // ---- All together ----
  let timer = 0;
  const later = (f) => { clearTimeout(timer); timer = setTimeout(f, 150); };
  const bind = (id, key, redraw) => byId(id).addEventListener("input", (e) => {
    state[key] = e.target.value;
    keep();
    redraw();
  });
  const show = () => {
    parse();
    applyTheme();
    byId("baseline").value = state.base;
    byId("search").value = state.q;
    byId("family").value = state.family;
    byId("variant").value = state.variant;
    showMeans();
    filter();
    applySort();
    drawAll();
  };
  bind("baseline", "base", () => { showMeans(); drawAll(); });
  bind("search", "q", () => { filter(); later(drawAll); });
  bind("family", "family", () => { filter(); drawAll(); });
  bind("variant", "variant", () => { filter(); drawAll(); });
  byId("theme").addEventListener("click", () => {
    state.theme = dark() ? "light" : "dark";
    applyTheme();
    keep();
    drawAll();
  });
  byId("link").addEventListener("click", () => {
    keep();
    if (navigator.clipboard) navigator.clipboard.writeText(location.href);
  });
  // A link to a section scrolls, and leaves the view in the address as it is.
  for (const a of document.querySelectorAll("nav a")) a.addEventListener("click", (e) => {
    e.preventDefault();
    const section = byId(a.hash.slice(1));
    section.scrollIntoView();
    section.tabIndex = -1;
    section.focus({ preventScroll: true });
  });
  addEventListener("hashchange", () => { if (!location.hash || location.hash.includes("=")) show(); });
  show();
})();
