"use strict";
// Curves by uPlot. A plot says in data-names which metrics it shows, and finds the sessions to show in data-session
// (one) or data-sessions ("id|name,…", the same metric of several).

const HUES = ["#0b7a83", "#d9622b", "#6d5bd0", "#2f8f4e", "#c2417c", "#8a6d1f", "#3a78c9", "#7a4a2b", "#5b6672", "#b03a2e"];
const DARK = ["#5cc4cb", "#f0935f", "#a99cf5", "#7fd49b", "#ee86b4", "#d8b95a", "#86b6f2", "#c99873", "#a2adbb", "#ff9d94"];
const plots = new Map(); // element -> uPlot

function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function hue(i) {
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  return (dark ? DARK : HUES)[i % HUES.length];
}

function figure(value) {
  return value == null ? "–" : Math.abs(value) >= 10000 ? Math.round(value).toLocaleString("en") : String(+value.toPrecision(4));
}

// tables: of uPlot, [iterations, values] each; labels: one each.
function draw(element, tables, labels) {
  const data = tables.length === 1 ? tables[0] : uPlot.join(tables);
  const old = plots.get(element);
  if (old && old.series.length === labels.length + 1) {
    old.setData(data);
    showLatest(old);
    return;
  }
  if (old) old.destroy();
  element.replaceChildren();
  const axis = { stroke: ink("--soft"), grid: { stroke: ink("--line"), width: 1 }, ticks: { stroke: ink("--line"), width: 1 } };
  const options = {
    width: Math.max(element.clientWidth, 200),
    height: 190,
    scales: { x: { time: false } },
    cursor: { drag: { x: true, y: false } },
    axes: [
      { ...axis, size: 28, font: "11px system-ui" },
      { ...axis, size: 52, font: "11px system-ui", values: (_, marks) => marks.map(figure) },
    ],
    legend: { markers: { width: 0, fill: (_, i) => hue(i - 1) } },
    hooks: { setCursor: [(plot) => { if (plot.cursor.idx == null) showLatest(plot); }] },
    series: [
      { label: "Iteration" },
      ...labels.map((label, i) => ({
        label, stroke: hue(i), width: 1.75, spanGaps: true, value: (_, v) => figure(v), points: { show: data[0].length < 3 },
      })),
    ],
  };
  const plot = new uPlot(options, data, element);
  plots.set(element, plot);
  showLatest(plot);
}

// Without a pointer over the plot its legend shows the latest values.
function showLatest(plot) {
  plot.setLegend({ idx: plot.data[0].length - 1 });
}

async function fetchSeries(session, names) {
  const query = new URLSearchParams({ names: names.join(","), points: "500" });
  const answer = await fetch(`/api/v1/sessions/${encodeURIComponent(session)}/metrics?${query}`);
  if (!answer.ok) throw new Error(`metrics: status ${answer.status}`);
  return answer.json();
}

function table(series) {
  return series ? [series.iterations, series.mean] : [[], []];
}

// All plots of one session, by one request.
async function drawSession(root, session) {
  const elements = [...root.querySelectorAll(".plot")];
  const names = [...new Set(elements.flatMap((element) => element.dataset.names.split(",")))];
  if (!names.length) return;
  const series = await fetchSeries(session, names);
  for (const element of elements) {
    const wanted = element.dataset.names.split(",");
    draw(element, wanted.map((name) => table(series[name])), element.dataset.labels.split("|"));
  }
}

// The same metric of several sessions in each plot.
async function drawComparison(root, sessions) {
  const elements = [...root.querySelectorAll(".plot")];
  const names = elements.map((element) => element.dataset.names);
  const all = await Promise.all(sessions.map(([id]) => fetchSeries(id, names)));
  for (const element of elements) {
    draw(element, all.map((series) => table(series[element.dataset.names])), sessions.map(([, name]) => name));
  }
}

function forget() {
  for (const [element, plot] of plots) if (!element.isConnected) { plot.destroy(); plots.delete(element); }
}

window.addEventListener("resize", () => {
  for (const [element, plot] of plots) plot.setSize({ width: Math.max(element.clientWidth, 200), height: 190 });
});

window.curves = { drawSession, drawComparison, forget };

window.addEventListener("DOMContentLoaded", () => {
  const comparison = document.getElementById("comparison");
  if (comparison) drawComparison(comparison, JSON.parse(comparison.dataset.sessions)).catch(console.error);
});
