"use strict";
// The user's own image: opened, parted into phases, cut to the model's size, encoded.

const PREVIEW = 512; // pixels, longest side of the picture with the square

const own = { image: null, whole: null, labels: null, preview: null };

/** @param {File} file */
async function openImage(file) {
  at("own-title").scrollIntoView({ block: "nearest" });
  try {
    const image = await readImage(file);
    if (Math.min(image.height, image.width) < model.side) {
      throw new Error(
        `This image has ${image.height} × ${image.width} pixels; at least ${model.side} × ${model.side} are needed.`,
      );
    }
    own.whole = segment(image, model.phases);
    own.image = image;
  } catch (error) {
    alertUser("own-alert", error.message);
    return;
  }
  alertUser("own-alert", "");
  at("own").hidden = false;
  at("own-row").value = at("own-column").value = 0;
  at("own-size").value = model.side;
  at("own-swap").checked = false;
  const { values } = own.image;
  const threshold = at("own-threshold");
  threshold.min = values.reduce((a, b) => Math.min(a, b));
  threshold.max = values.reduce((a, b) => Math.max(a, b));
  threshold.value = own.whole.thresholds ? own.whole.thresholds[0] : threshold.min;
  at("own-threshold-field").hidden = !own.whole.thresholds || model.phases > 2;
  at("own-swap-field").hidden = model.phases > 2;
  preview();
  encodeOwn();
}

/** Part the image anew, as the fields say. */
function partAnew() {
  const given = own.whole.thresholds && [at("own-threshold").valueAsNumber];
  own.whole = segment(own.image, model.phases, given);
  if (at("own-swap").checked) own.whole.labels.forEach((label, i, labels) => (labels[i] = 1 - label));
  preview();
  encodeOwn();
}

/** The whole image as phases, no larger than it is shown. */
function preview() {
  const { height, width } = own.image;
  const scale = Math.max(1, Math.max(height, width) / PREVIEW);
  const [columns, rows] = [width, height].map((extent) => Math.max(1, Math.floor(extent / scale)));
  const pixels = new ImageData(columns, rows);
  const labels = new Uint8Array(pixels.width * pixels.height);
  for (let i = 0; i < labels.length; i++) {
    const row = Math.floor(Math.floor(i / pixels.width) * scale);
    labels[i] = own.whole.labels[row * width + Math.floor((i % pixels.width) * scale)];
  }
  drawLabels(pixels, labels, model.phases);
  own.preview = { pixels, scale };
}

/** The square that the fields name, moved inside where it lies beyond the image. */
function square() {
  const { height, width } = own.image;
  const within = (id, low, high) => {
    const field = at(id);
    const value = Math.round(field.valueAsNumber);
    field.min = low;
    field.max = high;
    field.value = Math.min(high, Math.max(low, Number.isNaN(value) ? low : value));
    return field.valueAsNumber;
  };
  const size = within("own-size", model.side, Math.min(height, width));
  return { size, row: within("own-row", 0, height - size), column: within("own-column", 0, width - size) };
}

function encodeOwn() {
  const { image, whole } = own;
  const cut = square();
  own.labels = cutOut({ labels: whole.labels, width: image.width }, cut, model.side, model.phases);
  drawSquare(cut);
  page.ownCut.labels(own.labels);
  const z = page.encoder.run(own.labels);
  page.thumbnail.run(z);
  page.ownDecoded.labels(page.thumbnail.labels);
  page.ownCurve = page.ownCorrelation.run(own.labels, state.phase);
  at("own-key").hidden = false;
  at("own-result").textContent = told(cut.size, page.thumbnail.labels);
  show(z, "Your image, reconstructed");
}

function told(size, reconstruction) {
  const { thresholds } = own.whole;
  const how = thresholds
    ? `Parted at the grey level ${thresholds.map((value) => Number(value.toPrecision(4))).join(" and ")}.`
    : "The image's values are taken as phases.";
  const shrunk = size === model.side ? "" : ` The square is shrunk ${(size / model.side).toFixed(2)} times.`;
  const fractions = [own.labels, reconstruction].map((labels) => volumeFraction(labels, state.phase).toFixed(3));
  const same = agreement(own.labels, reconstruction);
  const poor = same > 0.9 ? "" : " A model gives back well what it was trained on, and other images less so.";
  return (
    `${how}${shrunk} φ of phase ${state.phase}: your image ${fractions[0]}, reconstruction ${fractions[1]}; ` +
    `${(100 * same).toFixed(1)} % of the pixels agree.${poor}`
  );
}

function drawSquare({ row, column, size }) {
  const { pixels, scale } = own.preview;
  const canvas = at("own-whole");
  canvas.width = pixels.width;
  canvas.height = pixels.height;
  const context = canvas.getContext("2d");
  context.putImageData(pixels, 0, 0);
  const line = Math.max(pixels.width, pixels.height) / 80;
  context.strokeStyle = "#d55e00";
  context.lineWidth = line;
  context.strokeRect(column / scale + line / 2, row / scale + line / 2, size / scale - line, size / scale - line);
}

/** The square's middle follows the pointer. */
function moveSquare(event) {
  const box = at("own-whole").getBoundingClientRect();
  const scale = own.image.width / box.width;
  const half = at("own-size").valueAsNumber / 2;
  at("own-column").value = (event.clientX - box.left) * scale - half;
  at("own-row").value = (event.clientY - box.top) * scale - half;
  encodeOwn();
}

function wireOwn() {
  const first = (files) => files.length && openImage(files[0]);
  at("own-hint").textContent =
    `PNG, JPEG, BMP or NPY; at least ${model.side} × ${model.side} pixels, at the magnification of the training image.`;
  at("file").addEventListener("change", () => {
    first(at("file").files);
    at("file").value = "";
  });
  for (const kind of ["dragenter", "dragover"]) {
    addEventListener(kind, (event) => {
      event.preventDefault();
      document.body.classList.add("dropping");
    });
  }
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    first(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => first(event.clipboardData.files));
  for (const id of ["own-row", "own-column", "own-size"]) at(id).addEventListener("change", encodeOwn);
  at("own-swap").addEventListener("change", partAnew);
  at("own-threshold").addEventListener("input", partAnew);
  at("own-again").addEventListener("click", () => show(page.encoder.run(own.labels), "Your image, reconstructed"));
  const canvas = at("own-whole");
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    moveSquare(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (canvas.hasPointerCapture(event.pointerId)) moveSquare(event);
  });
}
