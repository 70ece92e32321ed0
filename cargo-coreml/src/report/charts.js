"use strict";
// Charts of the report: drawn as SVG elements, coloured by the style sheet.

/** Makes an SVG element. */
function draw(tag, attributes, ...content) {
  const element = document.createElementNS(document.getElementById("namespace").namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...content.map((part) => (part instanceof Node ? part : String(part))));
  return element;
}

/** Returns a number as a power of ten, for an axis. */
const power = (value) => value.toExponential(0).replace("e-", "e−").replace("e+", "e");

/** Draws how many elements of an output differ by how much. Heights are logarithmic: one element must be seen beside millions. */
function histogram(output) {
  const filled = output.bins.map((bin) => bin.count > 0);
  const first = filled.indexOf(true), last = filled.lastIndexOf(true);
  const bars = [{ text: "equal", count: output.equal },
    ...(first < 0 ? [] : output.bins.slice(first, last + 1).map((bin) => ({ text: power(bin.from), from: bin.from, count: bin.count })))];
  const width = 40, height = 130, most = Math.max(...bars.map((bar) => bar.count), 1);
  const total = bars.reduce((sum, bar) => sum + bar.count, 0);
  const label = `${output.name}: ${output.equal} of ${total} elements equal PyTorch's`
    + (first < 0 ? "" : `; the others differ by ${power(output.bins[first].from)} to ${power(output.bins[last].from * Math.sqrt(10))}`);
  const chart = draw("svg", { viewBox: `0 0 ${bars.length * width} ${height + 40}`, width: bars.length * width, height: height + 40, role: "img", "aria-label": label });
  bars.forEach((bar, index) => {
    const tall = bar.count ? Math.max(2, (height - 18) * Math.log1p(bar.count) / Math.log1p(most)) : 0;
    const x = index * width;
    chart.append(
      draw("rect", { x: x + 4, y: height - tall, width: width - 8, height: tall, class: index ? "bar" : "bar equal" },
        draw("title", {}, index ? `${bar.count} elements differ by ${bar.from.toExponential(1)} or more` : `${bar.count} elements are equal`)),
      draw("text", { x: x + width / 2, y: height - tall - 4, "text-anchor": "middle", class: "count" }, bar.count ? short(bar.count) : ""),
      draw("text", { x: x + width / 2, y: height + 16, "text-anchor": "middle" }, index % 2 ? bar.text : index ? "" : "equal"));
  });
  chart.append(draw("line", { x1: 0, x2: bars.length * width, y1: height, y2: height, class: "axis" }));
  return [make("p", "", `${label}.`), make("div", "scroll", chart)];
}

/** Returns a count in few letters. */
function short(count) {
  return count < 10000 ? String(count) : count < 1e6 ? `${Math.round(count / 1e3)}k` : `${(count / 1e6).toFixed(1)}M`;
}

/** Draws the rungs of weight compression: size against error. */
function ladder(rungs) {
  const points = rungs.filter((rung) => rung.bytes !== null && rung.agreement !== null);
  if (points.length === 0) return make("p", "soft", "No rung could be walked.");
  const known = points.map((rung) => rung.psnr).filter((psnr) => psnr !== null);
  const top = Math.max(10, ...known), bottom = Math.min(0, ...known);
  const sizes = points.map((rung) => rung.bytes), largest = Math.max(...sizes) * 1.15;
  const left = 60, right = 90, high = 20, width = 760, height = 320;
  const x = (bytes) => left + (width - left - right) * bytes / largest;
  const y = (psnr) => high + (height - high - 44) * (top - (psnr ?? top)) / (top - bottom || 1);
  const chart = draw("svg", { viewBox: `0 0 ${width} ${height}`, class: "ladder", role: "img",
    "aria-label": "Size of the package against the signal-to-noise ratio of each rung; the table below has the numbers" });
  for (let step = 0; step <= 4; step += 1) {
    const ratio = bottom + (top - bottom) * step / 4, bytes = largest * step / 4;
    chart.append(draw("line", { x1: left, x2: width - right, y1: y(ratio), y2: y(ratio), class: "grid" }),
      draw("text", { x: left - 8, y: y(ratio) + 4, "text-anchor": "end" }, ratio.toFixed(0)),
      draw("text", { x: x(bytes), y: height - 24, "text-anchor": "middle" }, size(bytes)));
  }
  chart.append(draw("text", { x: left - 44, y: 12 }, "PSNR, dB"), draw("text", { x: (width - right) / 2, y: height - 4 }, "size of the package"));
  for (const rung of points) {
    chart.append(draw("circle", { cx: x(rung.bytes), cy: y(rung.psnr), r: 5, class: rung.passed ? "passed" : "failed" },
      draw("title", {}, `${rung.name}: ${size(rung.bytes)}, ${decibels(rung)}`)),
      draw("text", { x: x(rung.bytes) + 9, y: y(rung.psnr) + 4 }, rung.name));
  }
  return make("div", "scroll", chart);
}

/** Returns the error of a rung. */
const decibels = (rung) => rung.agreement === null ? "—" : rung.psnr === null ? "exact" : `${rung.psnr.toFixed(1)} dB`;

/** Makes a bar as long as a share of the largest. */
function share(value, largest) {
  const bar = make("div", "share");
  bar.style.width = `${largest ? Math.max(0.5, (100 * value) / largest) : 0}%`;
  return bar;
}
