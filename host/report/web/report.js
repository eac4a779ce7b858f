// SPDX-License-Identifier: MIT
// What the page does beyond its tables: charts, baseline, search, sort, a view in the URL.
"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const byId = (id) => document.getElementById(id);
  const data = read("data"), details = read("details"), specs = read("specs");
  const runs = [...byId("baseline").options].map((o) => o.textContent);
  document.documentElement.classList.add("scripted");

  // ---- The view: what the URL's fragment says ----
  const state = { base: "0", q: "", family: "", variant: "", sort: "", theme: "" };
  const parse = () => {
    for (const part of location.hash.slice(1).split("&")) {
      const at = part.indexOf("=");
      const key = part.slice(0, at);
      if (at > 0 && Object.hasOwn(state, key)) {
        try { state[key] = decodeURIComponent(part.slice(at + 1)); } catch { /* as it was */ }
      }
    }
    if (!(Number(state.base) < runs.length)) state.base = "0";
  };
  const keep = () => {
    const text = Object.entries(state).filter(([k, v]) => v && !(k === "base" && v === "0"))
      .map(([k, v]) => k + "=" + encodeURIComponent(v)).join("&");
    history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
  };

  // ---- Theme ----
  const dark = () => state.theme ? state.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const applyTheme = () => {
    if (state.theme) document.documentElement.dataset.theme = state.theme;
  };

  // ---- Means against a baseline: as the program's, cases in ops in families ----
  const counted = new Map();
  for (const p of data.points) {
    if (!counted.has(p.i)) counted.set(p.i, []);
    counted.get(p.i)[p.r] = p;
  }
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const means = (run, base) => {
    const families = new Map();
    let cases = 0;
    for (const points of counted.values()) {
      const a = points[base], b = points[run];
      if (!a || !b) continue;
      cases++;
      if (!families.has(a.family)) families.set(a.family, new Map());
      const ops = families.get(a.family);
      if (!ops.has(a.op)) ops.set(a.op, []);
      ops.get(a.op).push(Math.log(a.ns / b.ns));
    }
    const result = new Map();
    for (const [family, ops] of families) result.set(family, mean([...ops.values()].map(mean)));
    return { result, cases, all: result.size ? mean([...result.values()]) : NaN };
  };
  const showMeans = () => {
    const head = [...byId("means-table").tHead.rows[0].cells].map((c) => c.textContent);
    [...byId("means-table").tBodies[0].rows].forEach((row, run) => {
      const m = means(run, Number(state.base));
      [...row.cells].forEach((cell, c) => {
        if (c === 0) return;
        const value = c === 1 ? Math.exp(m.all) : c === head.length - 1 ? m.cases
          : Math.exp(m.result.get(head[c]) ?? NaN);
        cell.textContent = Number.isFinite(value)
          ? (c === head.length - 1 ? String(value) : value.toFixed(3)) : "–";
      });
    });
  };

  // ---- Charts ----
  // Intervals of the ratio from those of the medians; faint when they leave no verdict.
  const speedups = () => {
    const base = Number(state.base);
    if (base === 0) return data.speedups;
    const out = [];
    for (const points of counted.values()) {
      const a = points[base];
      if (!a) continue;
      for (const b of points) {
        if (!b || b === a) continue;
        const half = Math.hypot(Math.log(a.high / a.low) / 2, Math.log(b.high / b.low) / 2);
        const middle = Math.log(a.ns / b.ns);
        out.push({ run: b.run, op: b.op, family: b.family, case: b.case, variant: b.variant,
          speedup: Math.exp(middle), slow: Math.exp(middle - half),
          fast: Math.exp(middle + half),
          verdict: Math.abs(middle) <= half ? "cannot tell"
            : middle > 0 ? "faster" : "slower" });
      }
    }
    return out;
  };
  const wanted = (p) => (!state.family || p.family === state.family) &&
    (!state.variant || p.variant === state.variant) &&
    (!state.q || [p.op, p.case, p.variant, p.kernel].join(" ").toLowerCase()
      .includes(state.q.toLowerCase()));
  const named = () => ({
    points: data.points.filter(wanted), speedups: speedups().filter(wanted),
    lengths: data.lengths.filter((p) => !state.q ||
      p.series.toLowerCase().includes(state.q.toLowerCase())), roofs: data.roofs });
  const ready = typeof vegaEmbed === "function";
  let turn = 0;
  const draw = async (holder, mine) => {
    const name = holder.dataset.chart, spec = structuredClone(specs[name]);
    const sets = named();
    const own = { speedup: "speedups", scaling: "lengths" }[name] ?? "points";
    if (!sets[own].length) {
      holder.innerHTML = "";
      const p = document.createElement("p");
      p.className = "no-chart";
      p.textContent = name === "speedup" ? "There is no second run with the same cases."
        : name === "scaling" ? "No two cases differ in their length alone."
          : "No case of this view has the numbers for this chart.";
      holder.append(p);
      return;
    }
    spec.datasets = sets;
    if (name === "speedup") { // as high as its rows: a container's width needs a number here
      const ops = new Set(sets.speedups.map((p) => p.op)).size;
      const others = new Set(sets.speedups.map((p) => p.run)).size;
      spec.height = ops * Math.max(16, 9 * others);
    }
    spec.background = null;
    await vegaEmbed(holder, spec, { actions: { export: true, source: false, compiled: false,
      editor: false }, theme: dark() ? "dark" : undefined, renderer: "svg",
      tooltip: { theme: dark() ? "dark" : "light" } });
    if (mine === turn) holder.dataset.drawn = "1";
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
    // A chart is drawn when it comes near: the page opens at once.
    const watch = new IntersectionObserver((entries) => {
      for (const e of entries) {
        if (!e.isIntersecting || seen.has(e.target)) continue;
        seen.add(e.target);
        draw(e.target, turn);
      }
    }, { rootMargin: "600px" });
    document.querySelectorAll(".chart").forEach((c) => watch.observe(c));
    addEventListener("beforeprint", () => document.querySelectorAll(".chart").forEach((c) => {
      if (!seen.has(c)) { seen.add(c); draw(c, turn); }
    }));
  }

  // ---- The table of cases: search, filters ----
  const table = byId("cases-table"), body = table.tBodies[0];
  const rows = [...body.rows].map((tr) => ({ tr, family: tr.dataset.family,
    variant: tr.cells[2].textContent,
    text: (tr.textContent + " " + [...tr.querySelectorAll("[title]")]
      .map((c) => c.title).join(" ")).toLowerCase() }));
  for (const v of [...new Set(rows.map((r) => r.variant))].sort()) byId("variant").add(new Option(v));
  const filter = () => {
    const q = state.q.toLowerCase();
    let shown = 0;
    for (const r of rows) {
      const show = (!q || r.text.includes(q)) && (!state.family || r.family === state.family) &&
        (!state.variant || r.variant === state.variant);
      r.tr.hidden = !show;
      shown += show;
    }
    byId("shown").textContent = `${shown} of ${rows.length}`;
  };

  // ---- Sorting any table by any column ----
  const columnOf = (th) => {
    // Two header rows: the second's cells stand under the spanning ones of the first.
    const top = th.closest("thead").rows[0];
    if (th.parentElement === top) return th.cellIndex;
    return [...top.cells].filter((c) => c.rowSpan > 1).length + th.cellIndex;
  };
  const sortBy = (t, th, descending) => {
    const column = columnOf(th);
    const value = (tr) => {
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
    if (heads[n]) sortBy(t, heads[n], way === "d");
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
  const close = () => { panel.hidden = true; if (back) back.focus(); back = null; };
  const open = (tr) => {
    panel.textContent = "";
    back = tr;
    const button = add(panel, "button", "Close");
    button.className = "close";
    button.addEventListener("click", close);
    add(panel, "h3", tr.cells[0].textContent + " " + tr.cells[1].textContent + " " +
      tr.cells[2].textContent);
    details[Number(tr.dataset.row)].forEach((d, run) => {
      if (!d.status) return;
      add(panel, "h4", runs[run]);
      add(panel, "p", [d.status, d.reason, d.kernel, d.tuning, d.spec].filter(Boolean).join("; "));
      if (d.samples.length) strip(panel, d.samples, "Samples, of the median");
      if (d.canary.length) strip(panel, d.canary, "Canary, of its first");
      if (d.repro) add(add(panel, "p"), "code", d.repro);
      if (d.statistics) add(panel, "pre", JSON.stringify(d.statistics, null, 1));
    });
    panel.hidden = false;
    button.focus();
  };
  if (details) {
    for (const { tr } of rows) {
      tr.classList.add("clickable");
      tr.tabIndex = 0;
      tr.addEventListener("click", () => open(tr));
      tr.addEventListener("keydown", (e) => { if (e.key === "Enter") open(tr); });
    }
  }
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
  addEventListener("hashchange", show);
  show();
})();
