"use strict";
// The page as a whole: from a latent vector to what is seen, and back again.

/** The structure of z with all that is measured on it. */
function redraw() {
  page.generator.run(state.z);
  page.picture.generated(page.generator);
  for (const { phase, output } of page.readings) {
    output.textContent = volumeFraction(page.generator.labels, phase).toFixed(3);
  }
  page.chart.draw(page.correlation.run(page.generator.labels, state.phase), page.ownCurve);
}

function frame() {
  requestAnimationFrame(frame);
  const began = performance.now();
  if (state.search) searchOn(began);
  if (state.dirty) {
    state.dirty = false;
    redraw();
  }
  for (const strip of page.strips) {
    while (strip.next < STEPS && performance.now() - began < FRAME) strip.drawNext();
  }
}

/**
 * Draw z anew in the next frame.
 * @param {number} [dimension] that alone has changed, and whose slider knows already
 */
function changed(dimension) {
  state.dirty = true;
  if (dimension === undefined) syncSliders();
  // A strip does not depend on the number that it varies.
  if (dimension !== state.dimension) page.traversal.refresh();
}

/** Show another structure, as one step that can be undone. */
function show(z, what) {
  stopSearch();
  state.z.set(z);
  changed();
  commit(what);
}

/** Remember what is shown: to undo, for the link, and in words. */
function commit(what) {
  if (page.undo.commit(state.z, what, performance.now())) settled(what);
}

function takeStep(move, word) {
  stopSearch();
  const what = page.undo[move]();
  if (what === null) return;
  state.z.set(page.undo.current);
  changed();
  settled(`${word}: ${what}`);
}

function settled(what) {
  at("undo").disabled = page.undo.past.length === 0;
  at("redo").disabled = page.undo.future.length === 0;
  remember();
  page.generator.run(state.z);
  const fractions = page.readings
    .map(({ phase }) => `φ of phase ${phase} ${volumeFraction(page.generator.labels, phase).toFixed(3)}`)
    .join(", ");
  say(`${what}. Now ${fractions}.`);
  const size = `${model.side} × ${model.side} pixels`;
  page.picture.canvas.setAttribute("aria-label", `Microstructure, ${size}; ${fractions}`);
  describeCurve();
}

function describeCurve() {
  const curve = page.correlation.run(page.generator.labels, state.phase);
  const points = [0, 2, 4, 8, 16, 32, 64, 128]
    .filter((lag) => lag < curve.length)
    .map((lag) => `at ${lag} pixels ${curve[lag].toFixed(3)}, ${page.reference} ${page.chart.reference.mean[lag].toFixed(3)}`);
  at("curve").setAttribute("aria-label", `Two-point correlation of phase ${state.phase}: ${points.join("; ")}`);
}

/** Put the state into the address. */
function remember() {
  history.replaceState(null, "", `#${encodeState(state)}`);
}

/** Take the state from the address; false: it holds none. */
function restore() {
  let restored;
  try {
    restored = decodeState(location.hash.slice(1), model.latent);
  } catch (error) {
    alertUser("alert", error.message);
    return false;
  }
  if (!restored) return false;
  alertUser("alert", "");
  state.a = restored.a;
  state.b = restored.b;
  drawPins();
  choose(restored.dimension);
  if (page.readings.some(({ phase }) => phase === restored.phase)) choosePhase(restored.phase);
  show(restored.z, "Restored from the link");
  return true;
}

function pin(which) {
  state[which] = state.z.slice();
  drawPins();
  remember();
  say(`Pinned as ${which.toUpperCase()}.`);
}

function drawPins() {
  const both = Boolean(state.a && state.b);
  at("path").hidden = !both;
  at("path-hint").hidden = both;
  for (const which of ["a", "b"]) {
    const name = which.toUpperCase();
    at(`pin-${which}`).textContent = state[which] ? `Pin as ${name} instead` : `Pin this structure as ${name}`;
  }
  if (both) page.interpolation.refresh();
}

function refreshStrips() {
  page.traversal.refresh();
  drawPins();
  state.dirty = true;
}

/** Another phase, of three or more, whose φ and S2 are looked at. */
function choosePhase(phase) {
  state.phase = phase;
  const { s2, s2Std } = model.reference.phases[phase];
  page.chart.setReference({ mean: s2, std: s2Std });
  if (own.labels) page.ownCurve = page.ownCorrelation.run(own.labels, phase);
  at("phase").value = phase;
  wireFraction();
  refreshStrips();
}

function refit() {
  if (!page.chart) return;
  page.chart.refit();
  state.dirty = true;
}

function makeReadings() {
  const phases = Object.keys(model.reference.phases).filter((phase) => model.reference.phases[phase].s2);
  at("readings-reference").textContent = model.reference.kind === "crops" ? "training data" : "other samples";
  page.readings = phases.map((phase) => {
    const output = element("td");
    const [mean, std] = model.reference.phases[phase].fraction.map((value) => value.toFixed(3));
    const reference = element("td", { className: "soft", textContent: `${mean} ± ${std}` });
    const name = element("th", { scope: "row", textContent: `phase ${phase}` });
    at("readings").append(element("tr", {}, name, output, reference));
    at("phase").append(element("option", { value: phase, textContent: `phase ${phase}` }));
    return { phase: Number(phase), output };
  });
  at("measured").hidden = phases.length === 1;
  const names = Array.from({ length: model.phases }, (_, phase) => {
    const color = phase === 0 ? "black" : phase === model.phases - 1 ? "white" : `grey level ${greyLevel(phase, model.phases)}`;
    return `phase ${phase} ${color}`;
  });
  const length = model.pixelSize ? Number((model.side * model.pixelSize).toPrecision(4)) : 0;
  const size = length ? `, ${length} × ${length} ${model.unit}` : "";
  at("legend").textContent = `${model.side} × ${model.side} pixels${size}; ${names.join(", ")}.`;
}

function wire() {
  at("random").addEventListener("click", () => show(numbers.fill(new Float32Array(model.latent)), "Random structure"));
  at("zero").addEventListener("click", () => show(new Float32Array(model.latent), "All numbers at 0"));
  at("undo").addEventListener("click", () => takeStep("undo", "Undone"));
  at("redo").addEventListener("click", () => takeStep("redo", "Done again"));
  at("probabilities").addEventListener("change", refreshStrips);
  at("phase").addEventListener("change", () => {
    stopSearch();
    choosePhase(Number(at("phase").value));
    describeCurve();
  });
  at("pin-a").addEventListener("click", () => pin("a"));
  at("pin-b").addEventListener("click", () => pin("b"));
  at("share").addEventListener("input", () => {
    stopSearch();
    between(at("share").valueAsNumber, state.z);
    changed();
  });
  at("share").addEventListener("change", () => commit("Between A and B"));
  addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    // In a number's field, its own undo.
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.target.type === "number") return;
    if (key !== "z" && key !== "y") return;
    event.preventDefault();
    if (key === "y" || event.shiftKey) takeStep("redo", "Done again");
    else takeStep("undo", "Undone");
  });
  addEventListener("hashchange", restore);
  new ResizeObserver(refit).observe(at("curve"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refit);
}

/** Compare this browser's numbers with the trained model's, and tell. */
function tellDifference() {
  page.difference = differenceToModel(model.probes, page.thumbnail, page.encoder);
  const largest = Math.max(page.difference.generator, page.difference.encoder);
  at("check").textContent =
    "Everything is computed on this computer; nothing is sent anywhere. Checked when the page was opened: this " +
    `browser's numbers differ from the trained model's by ${largest.toFixed(6)} at most.`;
  if (!(largest < 1e-3)) {
    alertUser("alert", `This browser computes other numbers than the trained model does (${largest.toPrecision(2)} off).`);
  }
}

function describe() {
  const { name, material, trained, licence, scorecard } = model;
  at("trained").textContent = `A model of ${material ?? name}; trained on ${trained}.`;
  if (licence) at("licence").textContent = `Licence of the training data: ${licence}.`;
  at("scorecard").hidden = !scorecard;
  at("scorecard").querySelector("pre").textContent = scorecard;
}

async function start() {
  const { side, phases, latent, pixelSize, unit, reference } = model;
  describe();
  const { encoder, generator } = await readNetworks(model.networks);
  page.generator = new Generator(generator, side, phases);
  page.thumbnail = new Generator(generator, side, phases);
  page.encoder = new Encoder(encoder, side, phases, latent);
  page.correlation = new TwoPointCorrelation(side);
  page.ownCorrelation = new TwoPointCorrelation(side);
  page.picture = new Picture(at("picture"));
  page.ownCut = new Picture(at("own-cut"));
  page.ownDecoded = new Picture(at("own-decoded"));
  page.traversal = new Strip(at("traversal"), placeAlong, () => `z ${state.dimension}`);
  page.interpolation = new Strip(at("interpolation"), placeBetween, () => "Between A and B");
  page.strips = [page.traversal, page.interpolation];
  page.reference =
    reference.kind === "crops"
      ? `training data (${reference.count} crops)`
      : `${reference.count} structures of this model (the training data were not at hand)`;
  at("reference-name").textContent = page.reference;
  page.chart = new CurveChart(at("curve"), pixelSize ?? 1, pixelSize ? (unit ?? "units") : "pixels");
  page.undo = new UndoStack(state.z);
  makeReadings();
  makeSliders();
  setTheme(rememberedTheme());
  choosePhase(page.readings[0].phase);
  tellDifference();
  wire();
  wireFinding();
  wireOwn();
  wireSaving();
  if (!restore()) show(numbers.fill(new Float32Array(latent)), "Random structure");
  // The beginning is no step to undo.
  page.undo = new UndoStack(state.z);
  at("undo").disabled = true;
  at("main").removeAttribute("aria-busy");
  frame();
}

start().catch((error) => {
  alertUser("alert", `This browser can't run this page; please use a newer one (${error.message}).`);
});
