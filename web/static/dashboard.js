// What the pages gain with a script: local times, live content, questions before acts, the chart.
"use strict";

const parts = {
  day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
};
const ofThisYear = new Intl.DateTimeFormat(undefined, parts);
const ofAnotherYear = new Intl.DateTimeFormat(undefined, { year: "numeric", ...parts });

function showLocalTimes() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const isThisYear = at.getFullYear() === new Date().getFullYear();
    time.textContent = (isThisYear ? ofThisYear : ofAnotherYear).format(at);
    time.title = at.toString();
  }
}

// -- questions before acts: without a script the server asks on a page of its own

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.ask) return;
  event.preventDefault();
  const dialog = document.getElementById("ask");
  document.getElementById("question").textContent = form.dataset.ask;
  dialog.returnValue = "no";
  dialog.onclose = () => {
    if (dialog.returnValue !== "yes") return;
    const confirmed = document.createElement("input");
    confirmed.type = "hidden";
    confirmed.name = "confirmed";
    confirmed.value = "yes";
    form.append(confirmed);
    delete form.dataset.ask;
    form.submit();
  };
  dialog.showModal();
});

// -- live content: the page's own address again, merged into what is shown, as soon as the server
// says that something has changed, and every so often in any case

const ALWAYS_AFTER_S = 15;

let shownAt_s = 0;
let isLoading = false;
let isStale = false;

function now_s() {
  return performance.now() / 1000;
}

function period_s() {
  return Number(document.getElementById("refresh")?.value ?? 0);
}

function isBusy() {
  const inside = document.activeElement?.closest("#live input, #live select, #live button, #live textarea");
  return document.hidden || isLoading || inside || document.getElementById("ask").open;
}

async function refresh() {
  const live = document.getElementById("live");
  isLoading = true;
  isStale = false;
  shownAt_s = now_s();
  try {
    await htmx.ajax("GET", live.dataset.address, { target: "#live", select: "#live", swap: "outerMorph" });
    showLocalTimes();
    showSpan();
    await drawCharts();
  } finally {
    isLoading = false;
  }
}

function lookWhetherToRefresh() {
  const age_s = now_s() - shownAt_s;
  if (!period_s() || isBusy()) return;
  if ((isStale && age_s >= period_s() / 2) || age_s >= Math.max(ALWAYS_AFTER_S, period_s())) refresh();
}

function keepRefreshing() {
  const choice = document.getElementById("refresh");
  if (!choice || !("live" in document.getElementById("live").dataset)) return;
  choice.value = localStorage.getItem("refresh_s") ?? "1";
  choice.addEventListener("change", () => localStorage.setItem("refresh_s", choice.value));
  shownAt_s = now_s();
  // The first number tells what is shown already.
  let first = null;
  new EventSource("/live").addEventListener("changed", (event) => {
    first ??= event.data;
    isStale ||= event.data !== first;
    lookWhetherToRefresh();
  });
  setInterval(lookWhetherToRefresh, 250);
}

// -- the charts

const SERIES = {
  enqueued: { label: "sent", colour: "--chart-sent", dash: [6, 4] },
  done: { label: "done", colour: "--chart-done" },
  died: { label: "died", colour: "--chart-died", dash: [2, 3] },
  waiting: { label: "waiting", colour: "--chart-sent" },
  dead: { label: "dead letters", colour: "--chart-died", dash: [2, 3] },
  wait_p50: { label: "half started within", colour: "--chart-done" },
  wait_p95: { label: "95 %", colour: "--chart-sent", dash: [6, 4] },
  wait_p99: { label: "99 %", colour: "--chart-died", dash: [2, 3] },
  run_p50: { label: "half done within", colour: "--chart-done" },
  run_p95: { label: "95 %", colour: "--chart-sent", dash: [6, 4] },
  run_p99: { label: "99 %", colour: "--chart-died", dash: [2, 3] },
};
const CHART_HEIGHT = 170;

const charts = new Map();
let span = "hour";
let marks = [];

function showClock(at_s) {
  const at = new Date(1000 * at_s);
  if (span === "month") return at.toLocaleDateString(undefined, { day: "2-digit", month: "short" });
  return at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

function showDuration(time_s) {
  if (time_s === 0) return "0";
  if (time_s < 1) return `${Math.round(1000 * time_s)} ms`;
  if (time_s < 120) return `${Number(time_s.toFixed(1))} s`;
  return time_s < 7200 ? `${Math.round(time_s / 60)} min` : `${Number((time_s / 3600).toFixed(1))} h`;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function drawMarks(chart) {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.strokeStyle = colour("--quiet");
  ctx.setLineDash([3, 3]);
  for (const mark of marks) {
    const x = Math.round(chart.valToPos(mark.at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function openChart(place, names, data) {
  const isTime = place.dataset.unit === "s";
  const least = isTime ? 0.01 : 1;
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  const line = ({ label, colour: name, dash }) => (
    { label, stroke: colour(name), width: 2, dash, points: { show: false } });
  const options = {
    width: place.clientWidth,
    height: CHART_HEIGHT,
    legend: { live: false },
    axes: [
      { ...axis, values: (_, moments) => moments.map(showClock) },
      { ...axis, size: 58, ...(isTime && { values: (_, times) => times.map(showDuration) }) },
    ],
    scales: { y: { range: (_, low, high) => [0, Math.max(high, least)] } },
    series: [{}, ...names.map((name) => line(SERIES[name]))],
    hooks: { draw: [drawMarks] },
  };
  const chart = new uPlot(options, data, place);
  addEventListener("resize", () => chart.setSize({ width: place.clientWidth, height: CHART_HEIGHT }));
  return chart;
}

async function drawCharts() {
  const whole = document.getElementById("charts");
  if (!whole) return;
  const answer = await fetch(`${whole.dataset.source}?span=${span}`);
  if (!answer.ok) return;
  const series = await answer.json();
  marks = series.marks;
  for (const place of whole.querySelectorAll(".chart")) {
    const names = place.dataset.lines.split(" ");
    const data = [series.at, ...names.map((name) => series[name])];
    if (charts.has(place)) charts.get(place).setData(data);
    else charts.set(place, openChart(place, names, data));
  }
}

document.addEventListener("click", (event) => {
  const chosen = event.target.closest("[data-span]");
  if (!chosen) return;
  span = chosen.dataset.span;
  showSpan();
  drawCharts();
});

function showSpan() {
  for (const button of document.querySelectorAll("[data-span]")) {
    button.parentElement.hidden = false;
    button.setAttribute("aria-pressed", String(button.dataset.span === span));
  }
}

document.querySelector("nav a[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
showLocalTimes();
keepRefreshing();
showSpan();
drawCharts();
