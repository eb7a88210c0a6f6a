"use strict";
// The page's one script: the theme, the copy button, and boxes drawn on cameras and seen from above.

const SVG = "http://www.w3.org/2000/svg";
const NEAR = 0.1; // metres before a camera: what is nearer is cut off
const MOST_ROWS = 60;
// corners: front, back of (left, right) of (bottom, top), as signs of (length, width, height)
const CORNERS = [[1, 1, -1], [1, -1, -1], [1, -1, 1], [1, 1, 1], [-1, 1, -1], [-1, -1, -1], [-1, -1, 1], [-1, 1, 1]];
const AHEAD = [[0, 0, -1], [1, 0, -1]]; // from the middle of the floor to the front
const EDGES = [[0, 1], [1, 2], [2, 3], [3, 0], [4, 5], [5, 6], [6, 7], [7, 4], [0, 4], [1, 5], [2, 6], [3, 7], [8, 9]];
const find = (id) => document.getElementById(id);

function corners([x, y, z, length, width, height, heading]) {
  const c = Math.cos(heading), s = Math.sin(heading);
  return CORNERS.concat(AHEAD).map(([a, b, up]) => {
    const forward = a * length / 2, left = b * width / 2;
    return [x + c * forward - s * left, y + s * forward + c * left, z + up * height / 2];
  });
}

function projected([x, y, z], m) { // homogeneous: columns × depth, rows × depth, depth in metres
  return [0, 4, 8].map((row) => m[row] * x + m[row + 1] * y + m[row + 2] * z + m[row + 3]);
}

function cut(a, b) { // the part of a segment that lies before the camera, in pixels; null if none does
  if (a[2] < NEAR && b[2] < NEAR) return null;
  const at = (p, q) => { const t = (NEAR - p[2]) / (q[2] - p[2]); return p.map((v, i) => v + t * (q[i] - v)); };
  const ends = [a[2] < NEAR ? at(a, b) : a, b[2] < NEAR ? at(b, a) : b];
  return ends.map((p) => [p[0] / p[2], p[1] / p[2]]);
}

function outline(box, view) { // a box in one picture as an SVG path; "" where it is not in it
  const [columns, rows] = view.size;
  if (!view.projection.length) {
    const [x, y, width, height] = box;
    return `M${x} ${y}h${width}v${height}h${-width}Z`;
  }
  const points = corners(box).map((corner) => projected(corner, view.projection));
  const lines = EDGES.map(([from, to]) => cut(points[from], points[to])).filter(Boolean);
  const seen = lines.some((line) => Math.max(line[0][0], line[1][0]) > 0 && Math.min(line[0][0], line[1][0]) < columns
    && Math.max(line[0][1], line[1][1]) > 0 && Math.min(line[0][1], line[1][1]) < rows);
  return seen ? lines.map(([p, q]) => `M${p.map((v) => v.toFixed(1))}L${q.map((v) => v.toFixed(1))}`).join("") : "";
}

function fromAbove(box) { // x right, y (the car's front) up
  const at = corners(box).map(([x, y]) => [x.toFixed(2), (-y).toFixed(2)]);
  return `M${at[0]}L${at[1]}L${at[5]}L${at[4]}ZM${at[8]}L${at[9]}`;
}

function path(d, kind, words) {
  const drawn = document.createElementNS(SVG, "path");
  drawn.setAttribute("d", d);
  drawn.setAttribute("class", kind);
  if (words) drawn.appendChild(document.createElementNS(SVG, "title")).textContent = words;
  return drawn;
}

function boxesOf(shown, threshold, with_annotated, with_found) {
  const annotated = with_annotated
    ? shown.annotated.map((box, i) => ({ box, kind: "annotated", name: shown.annotated_classes[i], score: null })) : [];
  const found = with_found
    ? shown.found.map((box, i) => ({ box, kind: "found", name: shown.found_classes[i], score: shown.scores[i] })) : [];
  return annotated.concat(found.filter((entry) => entry.score >= threshold));
}

const words = (entry) => entry.kind === "annotated" ? `annotated ${entry.name}` : `${entry.name} ${entry.score.toFixed(3)}`;

function drawView(figure, view, boxes) {
  const picture = figure.querySelector("img"), sheet = figure.querySelector("svg");
  picture.src = view.picture;
  picture.width = view.size[0];
  picture.height = view.size[1];
  sheet.setAttribute("viewBox", `0 0 ${view.size[0]} ${view.size[1]}`);
  const here = boxes.map((entry) => ({ ...entry, d: outline(entry.box, view) })).filter((entry) => entry.d);
  sheet.replaceChildren(...here.flatMap((entry) => [path(entry.d, "under"), path(entry.d, entry.kind, words(entry))]));
  const count = (kind) => here.filter((entry) => entry.kind === kind).length;
  picture.alt = `${view.name}: ${count("annotated")} annotated and ${count("found")} found boxes in it`;
  figure.querySelector("figcaption").textContent = view.name;
}

function drawAbove(sheet, reach, boxes) {
  const rings = [];
  for (let metres = 10; metres <= reach; metres += 10) {
    const ring = document.createElementNS(SVG, "circle");
    ring.setAttribute("r", metres);
    ring.setAttribute("class", "ring");
    const label = document.createElementNS(SVG, "text");
    label.setAttribute("x", metres * 0.72);
    label.setAttribute("y", metres * 0.72);
    label.textContent = `${metres} m`;
    rings.push(ring, label);
  }
  const ego = path("M-0.9 2.2V-1.4L0 -2.6L0.9 -1.4V2.2Z", "ego", "the car with the cameras");
  sheet.replaceChildren(...rings, ego, ...boxes.map((entry) => path(fromAbove(entry.box), entry.kind, words(entry))));
  const count = (kind) => boxes.filter((entry) => entry.kind === kind).length;
  sheet.setAttribute("aria-label", `Bird's-eye view: ${count("annotated")} annotated and ${count("found")} found boxes around the car`);
}

function drawTable(body, boxes, kind) {
  const sorted = [...boxes].sort((a, b) => (b.score ?? -1) - (a.score ?? -1));
  body.replaceChildren(...sorted.slice(0, MOST_ROWS).map((entry) => {
    const row = document.createElement("tr"), [x, y, width, height] = entry.box;
    const size = kind === "frames" ? `${Math.hypot(x, y).toFixed(1)} m` : `${Math.round(width)} × ${Math.round(height)} px`;
    [entry.kind, entry.name, entry.score === null ? "–" : entry.score.toFixed(3), size].forEach((text, i) => {
      const cell = row.appendChild(document.createElement(i ? "td" : "th"));
      if (!i) cell.scope = "row";
      cell.textContent = text;
    });
    return row;
  }));
}

function usualScore(shown, highest) { // about as many boxes as are annotated, where 0.3 would show none
  const best = shown.flatMap((one) => one.scores).sort((a, b) => b - a);
  if (!best.length || best[0] >= 0.35) return 0.3;
  const wanted = Math.max(5, shown.reduce((sum, one) => sum + one.annotated.length, 0) / shown.length) * shown.length;
  return Math.min(highest, best[Math.min(best.length - 1, Math.floor(wanted))]);
}

function viewer(data) {
  const [frame, score] = [find("frame"), find("score")];
  const figures = [...document.querySelectorAll("figure.view")];
  data.shown[0].views.forEach((view, i) => { view.picture = figures[i].querySelector("img").src; });
  const draw = () => {
    const shown = data.shown[frame.value - 1], threshold = Number(score.value);
    const boxes = boxesOf(shown, threshold, find("with-annotated").checked, find("with-found").checked);
    shown.views.forEach((view, i) => drawView(figures[i], view, boxes));
    if (data.kind === "frames") drawAbove(find("bev"), data.reach, boxes);
    drawTable(document.querySelector("#boxes tbody"), boxes, data.kind);
    const found = boxes.filter((entry) => entry.kind === "found").length;
    find("frame-said").textContent = `${frame.value} of ${data.shown.length}`;
    find("score-said").textContent = threshold.toFixed(3);
    frame.setAttribute("aria-valuetext", `${frame.value} of ${data.shown.length}: ${shown.title}`);
    find("said").textContent = `${shown.title}: ${shown.annotated.length} annotated boxes, ${found} of ${shown.found.length} found ones shown, those with a score of at least ${threshold.toFixed(3)}.`;
  };
  score.value = usualScore(data.shown, Number(score.max));
  find("controls").hidden = false;
  find("controls").addEventListener("input", draw);
  find("controls").addEventListener("submit", (event) => event.preventDefault());
  draw();
}

function theme() {
  const button = find("theme"), root = document.documentElement;
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const say = () => button.setAttribute("aria-pressed", String(isDark()));
  button.hidden = false;
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; say(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", say);
  say();
}

function copying() {
  if (!navigator.clipboard) return;
  find("copy").hidden = false;
  find("copy").addEventListener("click", () => navigator.clipboard.writeText(find("command").textContent)
    .then(() => { find("copied").textContent = "Copied."; }, () => { find("copied").textContent = "Not allowed here: mark it and copy."; }));
}

theme();
copying();
if (find("frames")) viewer(JSON.parse(find("frames").textContent));
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
