// node listen.mjs ws://HOST:PORT TOKEN '[["user"], ["hashtag.local", {"tag": "cats"}]]'
//
// Listens to streams over one connection and writes each event as a line of JSON, with the stream
// as it was asked for. A line `STREAM` on standard input unsubscribes; its end closes everything.

import { createInterface } from "node:readline";
import { createStreamingAPIClient } from "masto";

const [url, accessToken, streams] = process.argv.slice(2);
const client = createStreamingAPIClient({ streamingApiUrl: url, accessToken });
const subscriptions = new Map();

function say(fact) {
  process.stdout.write(`${JSON.stringify(fact)}\n`);
}

async function listen(name, parameters) {
  const resource = name.split(".").reduce((found, word) => found[word], client);
  const subscription = resource.subscribe(parameters);
  subscriptions.set(name, subscription);
  try {
    for await (const { stream, event, payload } of subscription) {
      say({ name, stream, event, payload });
    }
  } catch (error) {
    say({ name, error: error.message });
  }
}

for (const [name, parameters] of JSON.parse(streams)) listen(name, parameters);
const input = createInterface({ input: process.stdin });
input.on("line", (name) => subscriptions.get(name).unsubscribe());
input.on("close", () => client.close());
