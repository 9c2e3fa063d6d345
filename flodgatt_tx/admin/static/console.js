// The console: what one token hears on which streams, as it comes.

import { element } from "./dom.js";
import { readable } from "./readable.js";
import { EventStream, Socket, whose } from "./transports.js";

const MOST = 500; // events that are kept
const PLAIN = ["user", "user:notification", "public", "public:media", "public:local",
  "public:local:media", "public:remote", "public:remote:media", "direct"];
const WITH_PARAMETER = { hashtag: "tag", "hashtag:local": "tag", list: "list" };

const byId = (id) => document.getElementById(id);
const subscriptions = new Map(); // by name: { parameters, close() }
const counts = new Map();
let socket = null;
let paused = null; // events that came meanwhile
let heartbeat = null;

for (const name of [...PLAIN, ...Object.keys(WITH_PARAMETER)]) {
  byId("stream").append(new Option(name, name));
}
byId("stream").onchange = () => {
  const parameter = WITH_PARAMETER[byId("stream").value];
  byId("parameter").hidden = !parameter;
  byId("parameter").firstElementChild.textContent = parameter === "list" ? "Id of the list" : "Tag";
};
byId("stream").onchange();

function say(text, className = "") {
  byId("state").textContent = text;
  byId("state").className = `state ${className}`;
}

function complain(text) {
  byId("problem").textContent = text;
}

/** Find out why a connection failed, which browsers do not tell of WebSockets. */
async function explain(text) {
  disconnect();
  complain(text);
  try {
    await whose(byId("token").value.trim());
    if (!text) complain("The WebSocket could not be opened, although the token is good: is a proxy in between that knows no WebSockets?");
  } catch (error) {
    if (!text) complain(`The server refused: ${error.message}`);
  }
}

function introduce() {
  whose(byId("token").value.trim()).then((viewer) => {
    const languages = viewer.languages ? viewer.languages.join(", ") : "all languages";
    byId("viewer").textContent =
      `Account ${viewer.account_id}, scopes ${viewer.scopes.join(" ")}, ${languages} on public streams`;
  }, () => { byId("viewer").textContent = ""; });
}

function listeners(name) {
  return {
    opened: () => { say("connected", "good"); introduce(); },
    event: (event) => receive({ ...event, stream: event.stream?.join(" ") ?? name }),
    heartbeat: () => { heartbeat = new Date(); showCounts(); },
    error: (text) => complain(text),
    failed: (text) => explain(text),
    ended: (text) => { disconnect(); complain(text); },
  };
}

function subscribe() {
  const stream = byId("stream").value;
  const parameter = WITH_PARAMETER[stream];
  const parameters = { stream };
  if (parameter) parameters[parameter] = byId("value").value.trim();
  const name = [stream, ...(parameter ? [parameters[parameter]] : [])].join(" ");
  if (subscriptions.has(name)) return;
  complain("");
  if (!subscriptions.size) say("connecting");
  const token = byId("token").value.trim();
  let close;
  if (document.forms.form.elements.transport.value === "sse") {
    const opened = new EventStream(token, parameters, listeners(name));
    close = () => opened.close();
  } else {
    try {
      socket ??= new Socket(token, listeners(name));
    } catch {
      complain("That is no token: it has characters that no token has.");
      say("not connected");
      return;
    }
    socket.say("subscribe", parameters);
    close = () => socket?.say("unsubscribe", parameters);
  }
  subscriptions.set(name, close);
  showSubscriptions();
}

function unsubscribe(name) {
  subscriptions.get(name)();
  subscriptions.delete(name);
  if (subscriptions.size) showSubscriptions();
  else disconnect();
}

function disconnect() {
  for (const close of subscriptions.values()) if (!socket) close();
  socket?.close();
  socket = null;
  subscriptions.clear();
  say("not connected");
  byId("viewer").textContent = "";
  showSubscriptions();
}

function showSubscriptions() {
  const connected = subscriptions.size > 0;
  byId("disconnect").disabled = !connected;
  byId("token").disabled = connected;
  for (const each of document.forms.form.elements.transport) each.disabled = connected;
  byId("subscriptions").replaceChildren(...[...subscriptions.keys()].map((name) => {
    const button = element("button", "", `${name} ×`);
    button.type = "button";
    button.setAttribute("aria-label", `Unsubscribe from ${name}`);
    button.onclick = () => unsubscribe(name);
    return element("li", "", button);
  }));
}

function receive(event) {
  event.time = new Date();
  counts.set(event.name, (counts.get(event.name) ?? 0) + 1);
  if (paused) paused.push(event);
  else show(event);
  if (paused?.length > MOST) paused.shift();
  showCounts();
}

function show(event) {
  const { facts, text } = readable(event.name, event.data);
  const head = element("div", "head", element("strong", "", event.name));
  head.append(element("time", "", event.time.toLocaleTimeString()), element("span", "stream", event.stream));
  for (const fact of facts) head.append(element("span", "", fact));
  const words = element("p", "text", text);
  const raw = element("pre", "", event.text ?? event.data);
  const isRaw = byId("raw").getAttribute("aria-pressed") === "true";
  words.hidden = isRaw;
  raw.hidden = !isRaw;
  byId("events").prepend(element("li", "", head, words, raw));
  while (byId("events").children.length > MOST) byId("events").lastChild.remove();
}

function showCounts() {
  const parts = [...counts].map(([name, number]) => `${number} ${name}`);
  if (heartbeat) parts.push(`last sign of life ${heartbeat.toLocaleTimeString()}`);
  if (paused) parts.push(`paused, ${paused.length} waiting`);
  byId("counts").textContent = parts.join(", ");
}

function toggle(button) {
  const pressed = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", pressed);
  return pressed;
}

byId("form").onsubmit = (submitted) => {
  submitted.preventDefault();
  subscribe();
};
byId("disconnect").onclick = disconnect;
byId("pause").onclick = () => {
  const waiting = paused ?? [];
  paused = toggle(byId("pause")) ? [] : null;
  if (!paused) waiting.forEach(show);
  showCounts();
};
byId("raw").onclick = () => {
  const isRaw = toggle(byId("raw"));
  for (const each of byId("events").querySelectorAll(".text")) each.hidden = isRaw;
  for (const each of byId("events").querySelectorAll("pre")) each.hidden = !isRaw;
};
byId("clear").onclick = () => {
  byId("events").replaceChildren();
  counts.clear();
  showCounts();
};
