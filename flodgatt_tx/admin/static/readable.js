// Events in words. What is in a status is somebody's, so all of it stays text.

function plain(html) {
  const broken = html.replace(/<br\s*\/?>|<\/p>\s*<p>/gi, "\n")
    .replace(/<(\/?[a-z][a-z0-9]*)[^>]*>/gi, "<$1>"); // no attribute is text
  // A document of its own, in which nothing is loaded and no script runs.
  return new DOMParser().parseFromString(broken, "text/html").body.textContent;
}

function ofStatus(status) {
  const shown = status.reblog ?? status;
  const facts = [
    `@${status.account.acct}`,
    ...(status.reblog ? [`boosts @${shown.account.acct}`] : []),
    shown.visibility, shown.language, `id ${status.id}`,
    ...(shown.media_attachments?.length ? [`${shown.media_attachments.length} attachments`] : []),
  ].filter(Boolean);
  const text = [shown.spoiler_text && `[${shown.spoiler_text}]`, plain(shown.content ?? "")];
  return { facts, text: text.filter(Boolean).join("\n") };
}

/** Say what an event tells: `facts`, each a few words, and a `text`. */
export function readable(name, data) {
  let value;
  try {
    value = JSON.parse(data);
    if (name === "update" || name === "status.update") return ofStatus(value);
    if (name === "notification") {
      const { facts, text } = value.status ? ofStatus(value.status) : { facts: [], text: "" };
      return { facts: [value.type, `from @${value.account.acct}`, ...facts.slice(1)], text };
    }
    if (name === "conversation" && value.last_status) return ofStatus(value.last_status);
    if (name === "announcement") return { facts: [`id ${value.id}`], text: plain(value.content) };
  } catch {
    // It is not what its name says: then it is shown as it is.
  }
  if (typeof value === "object" && value) return { facts: [], text: JSON.stringify(value, null, 1) };
  return { facts: [], text: data };
}
