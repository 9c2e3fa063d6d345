// Figures from two looks at counters, and how they are written.

/** How much a second something has gone up by; nothing if a process was replaced meanwhile. */
export function rate(now, before, seconds) {
  return seconds > 0 && now >= before ? (now - before) / seconds : NaN;
}

/** Below how many seconds a share of what was counted between two looks at a histogram was. */
export function quantile(share, now, before) {
  const bounds = Object.keys(now).map((each) => [each === "+Inf" ? Infinity : Number(each), each])
    .sort(([one], [other]) => one - other)
    .map(([bound, name]) => [bound, now[name] - (before[name] ?? 0)]);
  const all = bounds.at(-1)?.[1] ?? 0;
  if (all <= 0) return NaN;
  let low = 0;
  let counted = 0;
  for (const [bound, count] of bounds) {
    if (count >= share * all) {
      if (bound === Infinity) return low;
      return low + (bound - low) * ((share * all - counted) / Math.max(count - counted, 1e-9));
    }
    low = bound;
    counted = count;
  }
  return low;
}

export function total(numbers) {
  return Object.values(numbers).reduce((sum, each) => sum + each, 0);
}

export function count(number) {
  if (!Number.isFinite(number)) return "–";
  return number.toLocaleString("en", { maximumFractionDigits: number < 10 && number % 1 ? 1 : 0 });
}

export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let at = 0;
  for (; number >= 1024 && at < units.length - 1; at += 1) number /= 1024;
  return `${number.toFixed(at && number < 10 ? 1 : 0)} ${units[at]}`;
}

export function milliseconds(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const number = seconds * 1000;
  return `${number.toFixed(number < 10 ? 1 : 0)} ms`;
}

export function duration(seconds) {
  if (seconds < 120) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}
