// The two ways to a stream. The token goes into a header, or into WebSocket's subprotocol, for
// scripts of browsers can set no other header there; it is never part of an address.

const API = "/api/v1/streaming";

function query(parameters) {
  return new URLSearchParams(parameters).toString();
}

/**
 * One stream over Server-Sent Events, by fetch, since an EventSource has no headers.
 *
 * `on` has functions: opened(), event({ name, data }), heartbeat(), failed(text), ended(text).
 */
export class EventStream {
  constructor(token, { stream, ...parameters }, on) {
    this.stop = new AbortController();
    this.run(`${API}/${stream.replaceAll(":", "/")}?${query(parameters)}`, token, on)
      .catch((error) => this.stop.signal.aborted || on.ended(`The connection was lost: ${error.message}`));
  }

  async run(target, token, on) {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const answer = await fetch(target, { headers, signal: this.stop.signal, cache: "no-store" });
    if (!answer.ok) {
      const { error } = await answer.json().catch(() => ({}));
      on.failed(`The server refused: ${answer.status} ${error ?? answer.statusText}`);
      return;
    }
    on.opened();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const blocks = (rest + read.value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) this.take(block, on);
    }
    on.ended("The server has ended the stream: the token was revoked, or the server goes down.");
  }

  take(block, on) {
    const event = { name: "message", data: [] };
    for (const line of block.split("\n")) {
      if (line.startsWith(":")) on.heartbeat();
      else if (line.startsWith("event: ")) event.name = line.slice(7);
      else if (line.startsWith("data: ")) event.data.push(line.slice(6));
    }
    if (event.data.length) on.event({ name: event.name, data: event.data.join("\n") });
  }

  close() {
    this.stop.abort();
  }
}

const CLOSED = {
  1001: "the server goes down, or sends its clients elsewhere",
  1008: "too much was sent, or the token was revoked",
  1013: "the server is too busy",
};

/** Many streams over one WebSocket; `on` as above, and error(text) for what a stream is refused. */
export class Socket {
  constructor(token, on) {
    this.said = [];
    this.open = false;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}${API}`, token ? [token] : []);
    this.socket.onopen = () => {
      this.open = true;
      for (const each of this.said) this.socket.send(each);
      on.opened();
    };
    this.socket.onmessage = ({ data }) => this.take(JSON.parse(data), data, on);
    this.socket.onclose = ({ code, reason }) => {
      const why = reason || CLOSED[code] || "no reason was given";
      if (this.open) on.ended(`The connection was closed: ${code}, ${why}`);
      else on.failed("");
    };
  }

  take(message, text, on) {
    if ("error" in message) on.error(`${message.error} (${message.status})`);
    else on.event({ name: message.event, data: message.payload ?? "", stream: message.stream, text });
  }

  say(type, parameters) {
    const text = JSON.stringify({ type, ...parameters });
    if (this.open) this.socket.send(text);
    else this.said.push(text);
  }

  close() {
    this.socket.onclose = null;
    this.socket.close();
  }
}

/** Ask whose the token is; throws an Error that says why that cannot be told. */
export async function whose(token) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch("/token", { headers, cache: "no-store" });
  const body = await answer.json();
  if (!answer.ok) throw new Error(`${answer.status} ${body.error}`);
  return body;
}
