// The live page: a picture of the server comes every second, and is drawn.

import { Chart } from "./chart.js";
import { element, fill } from "./dom.js";
import { bytes, count, duration, milliseconds, quantile, rate, total } from "./figures.js";

const SILENCE = 5000; // milliseconds without a picture, after which what is shown is old

// Name; figure from this look and the one before; how it is written; what is said below it.
const TILES = [
  ["Connections", (now) => total(now.status.connections), count,
    (now) => Object.entries(now.status.connections).map(([name, number]) => `${count(number)} ${name}`).join(", ")],
  ["Deliveries per second", (now, old, s) => rate(total(now.sent), total(old.sent), s), count,
    (now) => `${count(total(now.sent))} so far`],
  ["Messages from Redis per second", (now, old, s) => rate(now.received, old.received, s), count,
    (now) => `${count(now.gaps)} gaps so far`],
  ["Latency, half of deliveries", (now, old) => quantile(0.5, now.latency, old.latency), milliseconds,
    () => "from Redis to socket"],
  ["Latency, 99 of 100", (now, old) => quantile(0.99, now.latency, old.latency), milliseconds,
    () => "from Redis to socket"],
  ["Reactor late by, 99 of 100", (now, old) => quantile(0.99, now.lag, old.lag), milliseconds,
    () => "more than 100 ms: a core too few"],
  ["Unsent to clients", (now) => now.status.queue.unsent ?? 0, bytes,
    (now) => `${count(now.status.queue.clients ?? 0)} clients, longest ${bytes(now.status.queue.longest ?? 0)}`],
  ["Waiting to be judged", (now) => now.status.queue.judging ?? 0, count,
    () => "events, until PostgreSQL has answered"],
  ["Refused or cut off per second",
    (now, old, s) => rate(now.refused + now.dropped, old.refused + old.dropped, s), count,
    (now) => `${count(now.refused)} refused, ${count(now.dropped)} cut off so far`],
];

const byId = (id) => document.getElementById(id);
let before = null;
let held = false;
let silence = 0;

const tiles = TILES.map(([name, figure, write, note]) => {
  const value = element("div", "tile-value", "–");
  const below = element("div", "tile-note");
  const chart = new Chart(name);
  byId("tiles").append(element("li", "", element("div", "tile-name", name), value, below, chart.svg));
  return (now, old, seconds) => {
    const number = figure(now, old, seconds);
    value.textContent = write(number);
    below.textContent = note(now);
    chart.add(number);
  };
});

function draw(now) {
  const old = before ?? now;
  const seconds = now.time - old.time;
  before = now;
  for (const tile of tiles) tile(now, old, seconds);
  drawDependencies(now.dependencies);
  drawWorkers(now, old, seconds);
  fill(byId("kinds"), Object.entries(now.status.timelines).sort((a, b) => b[1] - a[1])
    .map(([name, number]) => [name, [count(number), "number"]]), "Nobody listens.");
  fill(byId("busiest"), now.busiest
    .map(({ channel, readers }) => [channel, [count(readers), "number"]]), "Nobody listens.");
}

function drawDependencies(dependencies) {
  fill(byId("dependencies"), Object.entries(dependencies).map(([name, state]) => [
    name,
    state.up ? ["up", "good"] : [`down: no ${state.missing.join(", no ")}`, "bad"],
    new Date(state.since).toLocaleString(),
  ]), "");
}

function drawWorkers(now, old, seconds) {
  const earlier = new Map(old.workers.map((each) => [each.name, each]));
  fill(byId("workers"), now.workers.map((worker) => {
    const was = earlier.get(worker.name) ?? worker;
    const cpu = rate(worker.cpu, was.cpu, seconds);
    return [
      worker.name || "this process",
      [count(worker.clients), "number"],
      [count(rate(worker.sent, was.sent, seconds)), "number"],
      [Number.isFinite(cpu) ? `${Math.round(cpu * 100)} %` : "–", "number"],
      [bytes(worker.memory), "number"],
      [duration(now.time - worker.started), "number"],
    ];
  }), "");
}

function say(text, className) {
  byId("state").textContent = text;
  byId("state").className = `state ${className}`;
}

const source = new EventSource("/live");
source.onmessage = (message) => {
  clearTimeout(silence);
  silence = setTimeout(() => say("nothing heard for seconds", "bad"), SILENCE);
  if (held) return;
  say("live", "good");
  draw(JSON.parse(message.data));
};
source.onerror = () => say("not connected, trying again", "bad");

byId("hold").onclick = () => {
  held = !held;
  byId("hold").setAttribute("aria-pressed", held);
  if (held) say("held", "");
};
