// What `/metrics` says, and what happened between two readings of it.
//
// Rates and percentiles are of the time between two samples, never of all time since the start. A percentile lies
// somewhere in a bucket of its histogram; as Prometheus does, it is taken as if all in a bucket were spread evenly.

/** Routes that ask for data; the others are this page's own, or their commands are counted as commands. */
const DATA = /^\/(kv|keys|v1\/(entries|query|batch|transactions\/))/;
/** Commands by which this page looks at the server. */
const LOOKING = /^(slowlog|client)\|/;

/** The text as lists of labels and values, by name. */
function parse(text) {
  const families = new Map();
  for (const line of text.split("\n")) {
    const found = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (found === null) {
      continue;
    }
    const labels = {};
    for (const [, name, value] of (found[2] ?? "").matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name] = value;
    }
    const family = families.get(found[1]) ?? [];
    family.push({ labels, value: Number(found[3]) });
    families.set(found[1], family);
  }
  return families;
}

/** Adds up a family, or the part of it whose labels are wanted; null where there is none of that name. */
function sum(families, name, isWanted = () => true) {
  const family = families.get(name);
  return family ? family.filter(({ labels }) => isWanted(labels)).reduce((all, one) => all + one.value, 0) : null;
}

/** Adds the cumulative buckets of a histogram to those that are there, by their upper bound. */
function addBuckets(families, name, isWanted, buckets) {
  for (const { labels, value } of families.get(`${name}_bucket`) ?? []) {
    if (isWanted(labels)) {
      const bound = labels.le === "+Inf" ? Infinity : Number(labels.le);
      buckets.set(bound, (buckets.get(bound) ?? 0) + value);
    }
  }
  return buckets;
}

/** One reading, taken at `at` milliseconds. */
export function sample(text, at) {
  const families = parse(text);
  const isCommand = ({ command }) => !LOOKING.test(command);
  const isData = ({ route }) => DATA.test(route);
  const latencies = addBuckets(families, "tresor_command_duration_seconds", isCommand, new Map());
  const build = families.get("tresor_build_info")?.[0].labels ?? {};
  return {
    at,
    version: build.version ?? "",
    engine: build.engine ?? "",
    keys: (families.get("tresor_keys") ?? []).map(({ value }) => value),
    operations:
      (sum(families, "tresor_commands_total", isCommand) ?? 0) +
      (sum(families, "tresor_line_commands_total") ?? 0) +
      (sum(families, "tresor_http_requests_total", isData) ?? 0),
    latencies: addBuckets(families, "tresor_http_request_duration_seconds", isData, latencies),
    resident: sum(families, "tresor_process_resident_memory_bytes"),
    data: sum(families, "tresor_data_bytes"),
    hits: sum(families, "tresor_hits_total") ?? 0,
    misses: sum(families, "tresor_misses_total") ?? 0,
    lags: addBuckets(families, "tresor_expiry_lag_seconds", () => true, new Map()),
    connections: (sum(families, "tresor_connections") ?? 0) + (sum(families, "tresor_http_connections") ?? 0),
  };
}

/** What was counted between two readings of cumulative buckets, as [bound, how many up to it], rising. */
function between(before, after) {
  const bounds = [...after.keys()].sort((one, other) => one - other);
  return bounds.map((bound) => [bound, after.get(bound) - (before.get(bound) ?? 0)]);
}

/** The value that a part of all that was counted does not exceed; null where nothing was counted. */
export function percentile(buckets, part) {
  const all = buckets.length > 0 ? buckets[buckets.length - 1][1] : 0;
  if (all <= 0) {
    return null;
  }
  const rank = part * all;
  let [floor, below] = [0, 0];
  for (const [bound, count] of buckets) {
    if (count >= rank) {
      return bound === Infinity ? floor : floor + ((bound - floor) * (rank - below)) / (count - below || 1);
    }
    [floor, below] = [bound, count];
  }
  return floor;
}

/** The figures of the time between two readings; null for what there was none of. */
export function figures(before, after) {
  const elapsed = (after.at - before.at) / 1000;
  const operations = after.operations - before.operations;
  if (elapsed <= 0 || operations < 0) {
    // The server was started anew in between.
    return null;
  }
  const latencies = between(before.latencies, after.latencies);
  const lags = between(before.lags, after.lags);
  const reads = after.hits - before.hits + after.misses - before.misses;
  return {
    operations: operations / elapsed,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    p999: percentile(latencies, 0.999),
    resident: after.resident,
    data: after.data,
    hitRate: reads > 0 ? (after.hits - before.hits) / reads : null,
    lag50: percentile(lags, 0.5),
    lag99: percentile(lags, 0.99),
  };
}
