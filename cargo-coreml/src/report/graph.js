// The graph of a function on a canvas: layers from top to bottom, only what is in sight is drawn.

/** How large a node is and how far apart nodes and layers are, in units that are pixels at a zoom of one. */
const NODE = { width: 170, height: 36, gap: 24, layer: 74 };

/** Places the operations of a function, and what goes in and out. Returns nodes and edges with coordinates. */
function arrange(ends, indices) {
  const nodes = [], producers = new Map();
  const add = (node) => { nodes.push({ x: 0, layer: 0, above: [], below: [], ...node }); return nodes.length - 1; };
  for (const name of ends.inputs) producers.set(name, add({ text: name, kind: "input" }));
  for (const index of indices) {
    const operation = data.operations[index], self = add({ index, kind: operation.kind, text: operation.name });
    for (const [, name] of operation.inputs) {
      const from = producers.get(name);
      if (from === undefined || nodes[self].above.includes(from)) continue;
      nodes[self].above.push(from);
      nodes[from].below.push(self);
      nodes[self].layer = Math.max(nodes[self].layer, nodes[from].layer + 1);
    }
    for (const [name] of operation.outputs) producers.set(name, self);
  }
  const last = nodes.reduce((most, node) => Math.max(most, node.layer), 0) + 1;
  for (const name of ends.outputs) {
    const from = producers.get(name);
    if (from === undefined) continue;
    const self = add({ text: name, kind: "output", layer: last, above: [from] });
    nodes[from].below.push(self);
  }
  const layers = [];
  nodes.forEach((node, index) => { (layers[node.layer] ??= []).push(index); });
  // Each node goes towards the middle of its neighbours above, then of those below, and again.
  for (let sweep = 0; sweep < 6; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) if (layer) settle(nodes, layer, down ? "above" : "below");
  }
  return { nodes, layers };
}

/** Places the nodes of a layer near their neighbours, without overlaps. */
function settle(nodes, layer, side) {
  const wish = new Map(layer.map((index) => {
    const near = nodes[index][side];
    return [index, near.length ? near.reduce((sum, other) => sum + nodes[other].x, 0) / near.length : nodes[index].x];
  }));
  layer.sort((one, other) => wish.get(one) - wish.get(other) || one - other);
  const step = NODE.width + NODE.gap;
  let next = -Infinity, drift = 0;
  for (const index of layer) {
    const x = Math.max(next, wish.get(index));
    nodes[index].x = x;
    drift += x - wish.get(index);
    next = x + step;
  }
  for (const index of layer) nodes[index].x -= drift / layer.length;
}

/**
 * Makes the view of the graph. `choose` is told which operation was chosen. Returns how to choose one, and how to mark those that
 * a search has found.
 */
function graph(choose) {
  const canvas = document.getElementById("graph"), functions = document.getElementById("function");
  const context = canvas.getContext("2d");
  const view = { x: 0, y: 0, zoom: 1 };
  let placed = { nodes: [], layers: [] }, byOperation = new Map(), current = "", chosen = -1, found = null, colors = {}, waiting = false;

  /** Takes the colours of the style sheet: they change with the system's setting. */
  function recolor() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["back", "front", "soft", "line", "panel", "accent", "good", "error", "good-fill", "error-fill"]) {
      colors[name] = style.getPropertyValue(`--${name}`).trim();
    }
    redraw();
  }

  function show(name) {
    current = name;
    functions.value = name;
    const ends = data.functions.find((one) => one.name === name) ?? { inputs: [], outputs: [] };
    const indices = [];
    data.operations.forEach((operation, index) => { if (operation.function === name) indices.push(index); });
    placed = arrange(ends, indices);
    byOperation = new Map();
    placed.nodes.forEach((node, index) => { if (node.index !== undefined) byOperation.set(node.index, index); });
    chosen = -1;
    start();
  }

  /** Returns the box around all nodes. */
  function bounds() {
    const xs = placed.nodes.map((node) => node.x);
    const least = xs.reduce((one, other) => Math.min(one, other), Infinity), most = xs.reduce((one, other) => Math.max(one, other), -Infinity);
    return { left: least - NODE.width, right: most + NODE.width, height: placed.layers.length * NODE.layer };
  }

  /** Shows the whole graph. */
  function fit() {
    if (placed.nodes.length === 0) return redraw();
    const { left, right, height } = bounds();
    view.zoom = Math.min(1, canvas.clientWidth / (right - left), canvas.clientHeight / (height + NODE.layer));
    view.x = (left + right) / 2 - canvas.clientWidth / 2 / view.zoom;
    view.y = height / 2 - NODE.layer / 2 - canvas.clientHeight / 2 / view.zoom;
    redraw();
  }

  /** Shows the whole graph if its nodes can be read then, else its beginning. */
  function start() {
    fit();
    if (view.zoom >= 0.5) return;
    view.zoom = 0.8;
    const middle = (placed.layers[0] ?? []).reduce((sum, index, _, all) => sum + placed.nodes[index].x / all.length, 0);
    view.x = middle - canvas.clientWidth / 2 / view.zoom;
    view.y = -NODE.layer;
    redraw();
  }

  /** Zooms around a place of the canvas. */
  function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
    const before = view.zoom;
    view.zoom = Math.min(3, Math.max(0.002, before * factor));
    view.x += x / before - x / view.zoom;
    view.y += y / before - y / view.zoom;
    redraw();
  }

  /** Brings a node into the middle. */
  function center(node) {
    view.zoom = Math.max(view.zoom, 0.6);
    view.x = node.x - canvas.clientWidth / 2 / view.zoom;
    view.y = node.layer * NODE.layer - canvas.clientHeight / 2 / view.zoom;
    redraw();
  }

  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; paint(); });
  }

  /** Draws what is in sight. */
  function paint() {
    const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    context.setTransform(ratio * view.zoom, 0, 0, ratio * view.zoom, -view.x * view.zoom * ratio, -view.y * view.zoom * ratio);
    context.lineWidth = Math.min(4, 1 / view.zoom);
    const right = view.x + width / view.zoom, bottom = view.y + height / view.zoom;
    const half = NODE.width / 2, tall = NODE.height / 2;
    const y = (node) => node.layer * NODE.layer;
    const edges = (own) => {
      context.beginPath();
      for (const [index, node] of placed.nodes.entries()) {
        for (const from of node.above) {
          if (own !== (index === chosen || from === chosen)) continue;
          const source = placed.nodes[from], top = y(source) + tall, low = y(node) - tall;
          if (low < view.y || top > bottom || Math.max(source.x, node.x) < view.x || Math.min(source.x, node.x) > right) continue;
          context.moveTo(source.x, top);
          if (view.zoom < 0.25) context.lineTo(node.x, low);
          else context.bezierCurveTo(source.x, top + 20, node.x, low - 20, node.x, low);
        }
      }
      context.stroke();
    };
    context.strokeStyle = colors.soft;
    context.globalAlpha = 0.6;
    edges(false);
    context.globalAlpha = 1;
    context.strokeStyle = colors.accent;
    edges(true);
    context.textAlign = "center";
    context.textBaseline = "middle";
    const first = Math.max(0, Math.floor((view.y - tall) / NODE.layer)), last = Math.ceil((bottom + tall) / NODE.layer);
    for (const layer of placed.layers.slice(first, last + 1)) for (const index of layer ?? []) {
      const node = placed.nodes[index];
      if (node.x + half < view.x || node.x - half > right) continue;
      const operation = data.operations[node.index];
      context.globalAlpha = found && !found.has(node.index) ? 0.25 : 1;
      context.fillStyle = operation ? (operation.eligible ? colors["good-fill"] : colors["error-fill"]) : colors.panel;
      context.strokeStyle = index === chosen ? colors.accent : operation ? (operation.eligible ? colors.good : colors.error) : colors.soft;
      context.beginPath();
      context.roundRect(node.x - half, y(node) - tall, NODE.width, NODE.height, operation ? 6 : tall);
      context.fill();
      const thin = context.lineWidth;
      if (index === chosen) context.lineWidth = 3 / Math.min(1, view.zoom);
      if (view.zoom >= 0.1 || index === chosen) context.stroke();
      context.lineWidth = thin;
      if (view.zoom >= 0.35) {
        context.fillStyle = colors.front;
        context.font = "600 12px system-ui, sans-serif";
        context.fillText(fitting(node.kind), node.x, y(node) - 7);
        context.font = "10px system-ui, sans-serif";
        context.fillText(fitting(node.text), node.x, y(node) + 9);
      }
      context.globalAlpha = 1;
    }
  }

  /** Shortens a text to a node's width, in its middle: names differ at their ends. */
  function fitting(text) {
    return text.length <= 26 ? text : `${text.slice(0, 12)}…${text.slice(-13)}`;
  }

  /** Returns the node at a place of the canvas. */
  function at(x, y) {
    const [left, top] = [view.x + x / view.zoom, view.y + y / view.zoom];
    const layer = placed.layers[Math.round(top / NODE.layer)] ?? [];
    const off = Math.abs(top - Math.round(top / NODE.layer) * NODE.layer);
    return off > NODE.height / 2 ? undefined : layer.find((index) => Math.abs(placed.nodes[index].x - left) <= NODE.width / 2);
  }

  /** Goes from the chosen node to another one. */
  function go(to) {
    if (to === undefined) return;
    chosen = to;
    center(placed.nodes[to]);
    if (placed.nodes[to].index !== undefined) choose(placed.nodes[to].index);
  }

  function beside(step) {
    const layer = placed.layers[placed.nodes[chosen]?.layer] ?? [];
    return layer[layer.indexOf(chosen) + step];
  }

  let held = null;
  canvas.addEventListener("pointerdown", (event) => { held = { x: event.offsetX, y: event.offsetY, moved: 0 }; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) return;
    const [x, y] = [event.offsetX - held.x, event.offsetY - held.y];
    held = { x: event.offsetX, y: event.offsetY, moved: held.moved + Math.abs(x) + Math.abs(y) };
    view.x -= x / view.zoom;
    view.y -= y / view.zoom;
    redraw();
  });
  canvas.addEventListener("pointerup", (event) => {
    const node = held && held.moved < 5 ? at(event.offsetX, event.offsetY) : undefined;
    held = null;
    if (node === undefined) return;
    chosen = node;
    redraw();
    if (placed.nodes[node].index !== undefined) choose(placed.nodes[node].index);
  });
  canvas.addEventListener("pointercancel", () => { held = null; });
  // Without Ctrl the wheel scrolls the page, unless the graph has the focus.
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== canvas) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 300), event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const node = placed.nodes[chosen];
    const pan = event.shiftKey ? 60 / view.zoom : 0;
    const keys = {
      ArrowUp: () => pan ? (view.y -= pan) : go(node ? node.above[0] : 0), ArrowDown: () => pan ? (view.y += pan) : go(node ? node.below[0] : 0),
      ArrowLeft: () => pan ? (view.x -= pan) : go(beside(-1)), ArrowRight: () => pan ? (view.x += pan) : go(beside(1)),
      "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: fit, Home: start,
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
    redraw();
  });
  for (const [id, act] of [["closer", () => zoom(1.25)], ["farther", () => zoom(0.8)], ["whole", fit]]) {
    document.getElementById(id).addEventListener("click", act);
  }
  functions.append(...data.functions.map((one) => new Option(one.name)));
  functions.hidden = data.functions.length < 2;
  functions.addEventListener("change", () => show(functions.value));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor);
  addEventListener("resize", redraw);
  // Paper is white: the style sheet says so, and the canvas has to be drawn before.
  for (const event of ["beforeprint", "afterprint"]) addEventListener(event, () => { recolor(); paint(); });
  show(data.functions[0]?.name ?? "");
  recolor();
  return {
    select(index) {
      if (data.operations[index].function !== current) show(data.operations[index].function);
      const node = byOperation.get(index);
      if (node === undefined || node === chosen) return;
      chosen = node;
      center(placed.nodes[node]);
    },
    mark(indices) {
      found = indices;
      redraw();
    },
    /** What is shown, for tests. */
    state: () => ({ ...view, chosen: placed.nodes[chosen]?.text, nodes: placed.nodes.length, layers: placed.layers.length }),
  };
}
