// The page is made of the data below it, by text nodes alone: a name in a model is never markup.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

/** Makes an element of a tag, a class, and texts or elements. */
function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content.map((part) => (part instanceof Node ? part : String(part))));
  return element;
}

/** Returns a number of bytes in a unit. */
function size(bytes) {
  let unit = 0;
  for (; bytes >= 999.95 && unit < 4; unit += 1) bytes /= 1000;
  return unit === 0 ? `${bytes} B` : `${bytes.toFixed(1)} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

/** Makes a table; a heading that begins with # is of numbers. Long ones show `limit` rows and a button. */
function table(headings, rows, limit = 200) {
  const numeric = headings.map((heading) => heading.startsWith("#"));
  const head = make("tr", "", ...headings.map((heading, index) => {
    const cell = make("th", numeric[index] ? "number" : "", heading.replace("#", ""));
    cell.scope = "col";
    return cell;
  }));
  const body = make("tbody", "");
  const line = (row) => make("tr", "", ...row.map((cell, index) =>
    cell instanceof Node ? make("td", "", cell) : make("td", numeric[index] ? "number" : "", cell)));
  body.append(...rows.slice(0, limit).map(line));
  const box = make("div", "scroll", make("table", "", make("thead", "", head), body));
  if (rows.length > limit) {
    const button = make("button", "", `Show all ${rows.length}`);
    button.type = "button";
    button.addEventListener("click", () => { body.append(...rows.slice(limit).map(line)); button.remove(); });
    box.append(button);
  }
  return box;
}

/** Returns where something comes from in PyTorch. */
function origin({ module, file, line }) {
  return [module, file && `${file}:${line}`].filter(Boolean).join(", ");
}

/** Returns a time in a unit. */
function time(seconds) {
  return seconds >= 1 ? `${seconds.toFixed(1)} s` : seconds >= 1e-3 ? `${(seconds * 1e3).toFixed(1)} ms` : `${(seconds * 1e6).toFixed(0)} µs`;
}

/** Shows the head of the page. */
function overview() {
  document.title = `${data.title} – report`;
  byId("title").textContent = data.title;
  byId("facts").append(table(["what", "value"], data.facts));
  byId("environment").append(table(["what", "version"], data.environment));
  const share = data.operations.length ? Math.round((100 * data.eligible) / data.operations.length) : 100;
  const tile = (value, text) => make("div", "tile", make("b", "", value), text);
  byId("tiles").append(
    tile(data.operations.length, "operations"),
    tile(`${share} %`, "eligible for the Neural Engine"),
    tile(data.findings.length, "findings"),
    tile(size(data.weights.reduce((sum, weight) => sum + weight.bytes, 0)), "weights"),
    tile(`${data.bytes ? (data.padded / data.bytes).toFixed(2) : "1.00"} ×`, "size of tensors with padding, at most"),
  );
  byId("interface").append(table(["function", "role", "name", "what it holds"], data.interface));
}

/** Shows the findings, grouped by rule. */
function findings() {
  const groups = Map.groupBy ? Map.groupBy(data.findings, (finding) => finding.rule) : new Map();
  if (!Map.groupBy) for (const finding of data.findings) {
    groups.set(finding.rule, [...(groups.get(finding.rule) ?? []), finding]);
  }
  if (groups.size === 0) byId("findings").append(make("p", "good", "No rule speaks against it."));
  for (const [id, places] of groups) {
    const rule = data.rules[id];
    const list = make("ul", "", ...places.slice(0, 100).map((place) => make("li", "", [
      place.function, place.operation ? `${place.name} (${place.operation})` : place.name, place.detail, origin(place.origin ?? {}),
    ].filter(Boolean).join(": "))));
    if (places.length > 100) list.append(make("li", "soft", `… and ${places.length - 100} more`));
    byId("findings").append(make("details", "",
      make("summary", "", make("b", rule.severity, `${rule.severity} ${id}`), ` ${rule.title} (${places.length})`),
      list, make("p", "", `Advice: ${rule.advice}.`), make("p", "soft", `Source: ${rule.source}.`)));
  }
}

/** Shows padding, and what there is of sizes and times. */
function sizes() {
  const padding = data.padding.map((row) =>
    [row.name, `${row.data_type} [${row.shape.join(", ")}]`, size(row.bytes), size(row.padded), (row.padded / row.bytes).toFixed(1)]);
  byId("padding").append(padding.length
    ? table(["tensor", "type", "#size", "#padded", "#times"], padding)
    : make("p", "good", "No tensor doubles."));
  const total = (rows) => {
    const sums = new Map();
    for (const [key, bytes] of rows) sums.set(key, [(sums.get(key)?.[0] ?? 0) + 1, (sums.get(key)?.[1] ?? 0) + bytes]);
    return [...sums].sort((one, other) => other[1][1] - one[1][1]);
  };
  const files = byId("sizes"), largest = Math.max(...data.files.map((file) => file[1]), 1);
  files.append(table(["file", "#size", ""], data.files.map(([name, bytes]) => [name, size(bytes), share(bytes, largest)])));
  for (const [title, key] of [["type of weights", "data_type"], ["operation with weights", "operation"]]) {
    const rows = total(data.weights.map((weight) => [weight[key], weight.bytes]));
    files.append(table([title, "#tensors", "#size", ""],
      rows.map(([name, [count, bytes]]) => [name, count, size(bytes), share(bytes, rows[0][1][1])])));
  }
  const kinds = total(data.operations.map((operation) => [operation.kind, 1]));
  files.append(table(["operation", "#how many", ""], kinds.map(([kind, [count]]) => [kind, count, share(count, kinds[0][1][0])])));
  const weights = data.weights.map((row) =>
    [row.name, row.operation, row.data_type, `[${row.shape.join(", ")}]`, size(row.bytes)]);
  byId("weights").append(table(["name", "taken by", "type", "shape", "#size"], weights, 50));
  const times = byId("times");
  if (data.times.length) times.append(table(["on this machine", "#time"], data.times.map(([what, seconds]) => [what, time(seconds)])));
  else times.append(make("p", "soft", "Nothing was run: no samples were given (--samples)."));
  if (data.stages.length) {
    const longest = Math.max(...data.stages.map((stage) => stage[1]));
    times.append(table(["stage of the conversion", "#time", ""], data.stages.map(([stage, seconds]) => [stage, time(seconds), share(seconds, longest)])));
  }
}

/** Shows the comparison with PyTorch. */
function parity() {
  const section = byId("parity");
  if (!data.parity) {
    section.append(make("p", "soft", "No samples were given (--samples)."));
    return;
  }
  section.append(make("p", "", `On ${data.parity.backend}; ${data.parity.tolerance}.`), ...data.parity.remarks.map((remark) => make("p", "soft", remark)));
  if (data.parity.departure) section.append(make("p", "error", `First operation that differs: ${data.parity.departure}. \`cargo coreml precision\` tries which operations need float32.`));
  const verdict = (passed) => make("b", passed ? "good" : "error", passed ? "passed" : "failed");
  for (const output of data.parity.outputs) {
    section.append(make("h3", "", output.name), ...histogram(output));
    if (output.worst.length === 0) continue;
    section.append(table(["worst samples", "verdict", "#PSNR", "#largest difference", "#at", "#PyTorch", "#model"], output.worst.map((worst) =>
      [worst.sample, verdict(worst.passed), worst.psnr, worst.difference, `[${worst.at.join(", ")}]`, worst.expected, worst.got])));
  }
  if (data.parity.metrics.length) {
    section.append(make("h3", "", "Metric"), table(["command", "verdict", "figure", "asked"],
      data.parity.metrics.map((metric) => [metric.command, verdict(metric.passed), metric.figure, metric.bound])));
  }
  const rows = data.parity.rows.map((row) => [row.sample, row.output, verdict(row.passed), ...row.figures]);
  section.append(make("h3", "", "Every sample"), table(["sample", "output", "verdict", "#largest difference", "#relative", "#PSNR"], rows));
}

/** Shows the ladder of weight compression, and what the conversion said. */
function history() {
  const rungs = byId("ladder");
  if (data.ladder.length === 0) rungs.append(make("p", "soft", "No ladder was given: cargo coreml quantize --json prints one, --ladder takes it."));
  else rungs.append(ladder(data.ladder), table(["rung", "#size", "#PSNR", "#same argmax", "parity", "metric", "line of the manifest"], data.ladder.map((rung) =>
    [rung.name, rung.bytes === null ? "—" : size(rung.bytes), decibels(rung), rung.agreement === null ? "—" : `${rung.agreement.toFixed(1)} %`,
      make("b", rung.passed ? "good" : "error", rung.passed ? (rung.proven ? "passed" : "passed, which proves little") : rung.error ? "not converted" : "failed"), rung.metric ?? "", rung.line])));
  const section = byId("conversion");
  if (data.conversion.length) section.append(table(["step", "what happened"], data.conversion));
  if (data.log) section.append(make("details", "", make("summary", "", "What Python said"), make("pre", "", data.log)));
  if (!data.conversion.length && !data.log) section.append(make("p", "soft", "A package by itself does not tell how it was converted: name the manifest instead."));
}

/** The list of operations: rows of one height, of which only those in sight exist. */
function operations() {
  const rowHeight = 28; // as in the style sheet
  const list = byId("list"), rows = byId("rows"), search = byId("search"), filter = byId("filter");
  const space = make("div", "");
  list.append(space);
  const producers = new Map(), consumers = new Map();
  data.operations.forEach((operation, index) => {
    operation.text = [operation.kind, operation.name, ...operation.outputs.map((output) => output[1]), ...operation.rules,
      ...operation.inputs.map((input) => input[1]), operation.module, operation.line].join(" ").toLowerCase();
    for (const [name] of operation.outputs) producers.set(`${operation.function} ${name}`, index);
    for (const [, name] of operation.inputs) {
      const key = `${operation.function} ${name}`;
      if (!consumers.has(key)) consumers.set(key, []);
      consumers.get(key).push(index);
    }
  });
  let shown = [], selected = -1;
  const picture = graph((index) => select(index));

  function lay() {
    space.style.height = `${shown.length * rowHeight}px`;
    const first = Math.max(0, Math.floor(list.scrollTop / rowHeight) - 10);
    const visible = shown.slice(first, first + Math.ceil(list.clientHeight / rowHeight) + 20);
    rows.style.transform = `translateY(${first * rowHeight}px)`;
    rows.replaceChildren(...visible.map((index, position) => {
      const operation = data.operations[index];
      const row = make("div", `row ${operation.eligible ? "yes" : "no"}`,
        make("span", "kind", operation.kind), make("span", "name", operation.name),
        make("span", "type", operation.outputs.map((output) => output[1]).join(", ")));
      row.id = `operation-${index}`;
      row.setAttribute("role", "option");
      row.setAttribute("aria-selected", String(index === selected));
      row.setAttribute("aria-posinset", String(first + position + 1));
      row.setAttribute("aria-setsize", String(shown.length));
      row.setAttribute("aria-label", `${operation.kind} ${operation.name}, ${operation.eligible ? "eligible" : "not eligible"}`);
      row.addEventListener("click", () => select(index));
      return row;
    }));
    if (selected >= 0) list.setAttribute("aria-activedescendant", `operation-${selected}`);
    else list.removeAttribute("aria-activedescendant");
  }

  function find() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = [];
    data.operations.forEach((operation, index) => {
      const wanted = filter.value === "all" || (filter.value === "yes") === operation.eligible;
      if (wanted && words.every((word) => operation.text.includes(word))) shown.push(index);
    });
    byId("count").textContent = `${shown.length} of ${data.operations.length}`;
    list.scrollTop = 0;
    picture.mark(shown.length === data.operations.length ? null : new Set(shown));
    lay();
  }

  function select(index) {
    selected = index;
    picture.select(index);
    let position = shown.indexOf(index);
    if (position < 0) { // a neighbour that the search hides
      search.value = "";
      filter.value = "all";
      find();
      position = shown.indexOf(index);
    }
    const top = position * rowHeight;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + rowHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + rowHeight - list.clientHeight;
    lay();
    details(index);
  }

  function neighbour(index, text) {
    const operation = data.operations[index];
    const button = make("button", operation.eligible ? "yes" : "no", `${text}${operation.kind} ${operation.name}`);
    button.type = "button";
    button.addEventListener("click", () => select(index));
    return button;
  }

  function details(index) {
    const operation = data.operations[index], panel = byId("details");
    const parts = [make("h3", "", `${operation.kind} ${operation.name}`),
      make("p", operation.eligible ? "good" : "error", operation.eligible ? "Eligible: no rule keeps it off the Neural Engine." : "Not eligible."),
      ...(operation.module ? [make("p", "", `PyTorch module: ${operation.module}`)] : []),
      ...(operation.line ? [make("p", "", `Python: ${operation.line}`)] : []),
      ...operation.rules.map((id) => make("p", data.rules[id].severity, `${id}: ${data.rules[id].title}`)),
      make("h4", "", "Takes")];
    for (const [parameter, name, type] of operation.inputs) {
      const producer = producers.get(`${operation.function} ${name}`);
      parts.push(producer === undefined
        ? make("p", "", `${parameter}: ${[name, type].filter(Boolean).join(", ")}`) : neighbour(producer, `${parameter}: `));
    }
    parts.push(make("h4", "", "Gives"));
    for (const [name, type] of operation.outputs) {
      parts.push(make("p", "", `${name}: ${type}`));
      for (const consumer of consumers.get(`${operation.function} ${name}`) ?? []) parts.push(neighbour(consumer, "→ "));
    }
    panel.replaceChildren(...parts);
  }

  list.addEventListener("scroll", lay, { passive: true });
  list.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -Infinity, End: Infinity };
    if (!(event.key in steps) || shown.length === 0) return;
    event.preventDefault();
    const from = Math.max(0, shown.indexOf(selected) + (selected < 0 && steps[event.key] === 1 ? -1 : 0));
    const to = selected < 0 && event.key === "ArrowDown" ? 0 : from + steps[event.key];
    select(shown[Math.min(shown.length - 1, Math.max(0, to))]);
  });
  search.addEventListener("input", find);
  // Enter goes from one found operation to the next, in the list and in the graph.
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && shown.length) select(shown[(shown.indexOf(selected) + (event.shiftKey ? shown.length - 1 : 1)) % shown.length]);
  });
  filter.addEventListener("change", find);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !document.activeElement?.matches("input, select")) { event.preventDefault(); search.focus(); }
  });
  globalThis.picture = picture;
  find();
  // A link to an operation opens it: report.html#conv_1
  const open = () => {
    const wanted = decodeURIComponent(location.hash.slice(1));
    const index = wanted ? data.operations.findIndex((operation) => operation.name === wanted) : -1;
    if (index >= 0) select(index);
  };
  addEventListener("hashchange", open);
  addEventListener("resize", lay);
  open();
}

overview();
findings();
sizes();
parity();
history();
operations();
document.body.dataset.ready = "yes";
