"use strict";
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

/** Shows the head of the page. */
function overview() {
  document.title = `${data.title} – report`;
  byId("title").textContent = data.title;
  byId("facts").append(table(["what", "value"], data.facts));
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
      place.function, place.operation ? `${place.name} (${place.operation})` : place.name, place.detail,
    ].filter(Boolean).join(": "))));
    if (places.length > 100) list.append(make("li", "soft", `… and ${places.length - 100} more`));
    byId("findings").append(make("details", "",
      make("summary", "", make("b", rule.severity, `${rule.severity} ${id}`), ` ${rule.title} (${places.length})`),
      list, make("p", "", `Advice: ${rule.advice}.`), make("p", "soft", `Source: ${rule.source}.`)));
  }
}

/** Shows padding, weights and parity. */
function tables() {
  const padding = data.padding.map((row) =>
    [row.name, `${row.data_type} [${row.shape.join(", ")}]`, size(row.bytes), size(row.padded), (row.padded / row.bytes).toFixed(1)]);
  byId("padding").append(padding.length
    ? table(["tensor", "type", "#size", "#padded", "#times"], padding)
    : make("p", "good", "No tensor doubles."));
  const weights = data.weights.map((row) =>
    [row.name, row.operation, row.data_type, `[${row.shape.join(", ")}]`, size(row.bytes)]);
  byId("weights").append(table(["name", "taken by", "type", "shape", "#size"], weights, 50));
  if (!data.parity) {
    byId("parity").append(make("p", "soft", "No samples were given (--samples)."));
    return;
  }
  byId("parity").append(make("p", "", `On ${data.parity.backend}; ${data.parity.tolerance}.`));
  const rows = data.parity.rows.map((row) => [row.sample, row.output, make("b", row.passed ? "good" : "error",
    row.passed ? "passed" : "failed"), ...row.figures]);
  byId("parity").append(table(["sample", "output", "verdict", "#largest difference", "#relative", "#PSNR"], rows));
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
      ...operation.inputs.map((input) => input[1])].join(" ").toLowerCase();
    for (const [name] of operation.outputs) producers.set(`${operation.function} ${name}`, index);
    for (const [, name] of operation.inputs) {
      const key = `${operation.function} ${name}`;
      if (!consumers.has(key)) consumers.set(key, []);
      consumers.get(key).push(index);
    }
  });
  let shown = [], selected = -1;

  function draw() {
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
    draw();
  }

  function select(index) {
    selected = index;
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
    draw();
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

  list.addEventListener("scroll", draw, { passive: true });
  list.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -Infinity, End: Infinity };
    if (!(event.key in steps) || shown.length === 0) return;
    event.preventDefault();
    const from = Math.max(0, shown.indexOf(selected) + (selected < 0 && steps[event.key] === 1 ? -1 : 0));
    const to = selected < 0 && event.key === "ArrowDown" ? 0 : from + steps[event.key];
    select(shown[Math.min(shown.length - 1, Math.max(0, to))]);
  });
  search.addEventListener("input", find);
  filter.addEventListener("change", find);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
  });
  find();
  // A link to an operation opens it: report.html#conv_1
  const open = () => {
    const wanted = decodeURIComponent(location.hash.slice(1));
    const index = wanted ? data.operations.findIndex((operation) => operation.name === wanted) : -1;
    if (index >= 0) select(index);
  };
  addEventListener("hashchange", open);
  addEventListener("resize", draw);
  open();
}

overview();
findings();
tables();
operations();
document.body.dataset.ready = "yes";
