"use strict";
// Image files → phase labels, and back: what the user drops in and takes away.

// Rec. 709 luminance of red, green and blue.
const LUMINANCE = [0.2125, 0.7154, 0.0721];
const MOST_LABELS = 8;
const MOST_PIXELS = 2 ** 25;
const BINS = 256;

/**
 * Grey values of an image file: NPY, or what the browser can show (PNG, JPEG, BMP, WebP, …).
 * @param {Blob} file
 * @returns {Promise<{values: Float32Array, height: number, width: number, lossy: boolean}>}
 */
async function readImage(file) {
  const start = new Uint8Array(await file.slice(0, 8).arrayBuffer());
  const magic = String.fromCharCode(...start);
  if (magic.startsWith("\x93NUMPY")) return readNpy(await file.arrayBuffer());
  if (/^(II[*+]\0|MM\0[*+])/.test(magic)) {
    throw new Error("This is a TIFF image, which browsers can't read; save it as PNG and choose that.");
  }
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new Error("This file can't be read as an image; choose a PNG, JPEG, BMP or NPY file.");
  }
  const { width, height } = bitmap;
  checkSize(height, width);
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const values = new Float32Array(width * height);
  for (let i = 0; i < values.length; i++) {
    const red = data[4 * i];
    const green = data[4 * i + 1];
    const blue = data[4 * i + 2];
    if (data[4 * i + 3] !== 255) throw new Error("This image has transparent parts; save it without transparency.");
    // Grey in all but name keeps its exact value.
    values[i] =
      red === green && red === blue ? red : LUMINANCE[0] * red + LUMINANCE[1] * green + LUMINANCE[2] * blue;
  }
  return { values, height, width, lossy: magic.startsWith("\xff\xd8\xff") || magic.startsWith("RIFF") };
}

function checkSize(height, width) {
  if (height * width > MOST_PIXELS) {
    throw new Error(`This image has ${height} × ${width} pixels, too many for this page; cut out a part of it.`);
  }
}

/** A NumPy array file with one image of numbers. */
function readNpy(buffer) {
  const view = new DataView(buffer);
  const long = view.getUint8(6) > 1;
  const start = long ? 12 : 10;
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = String.fromCharCode(...new Uint8Array(buffer, start, Math.min(length, buffer.byteLength - start)));
  const type = /'descr': *'([<>|=])([a-z])(\d+)'/.exec(header);
  const reader = type && NPY_READERS[type[2] + type[3]];
  if (!reader || type[1] === ">") {
    throw new Error("This NPY file does not hold plain numbers; save an array of integers with numpy.save.");
  }
  const extents = /'shape': *\(([^)]*)\)/.exec(header)[1].split(",").filter((part) => part.trim()).map(Number);
  while (extents.length > 2 && extents[0] === 1) extents.shift();
  if (extents.length !== 2) {
    throw new Error(`This NPY file has the shape (${extents.join(", ")}); one image (height, width) is expected.`);
  }
  const [height, width] = extents;
  checkSize(height, width);
  const size = Number(type[3]);
  if (buffer.byteLength < start + length + size * height * width) {
    throw new Error("This NPY file is truncated; save or copy it again.");
  }
  const byColumns = /'fortran_order': *True/.test(header);
  const values = new Float32Array(height * width);
  for (let i = 0; i < values.length; i++) {
    const place = byColumns ? (i % width) * height + Math.floor(i / width) : i;
    values[i] = Number(reader(view, start + length + size * place));
  }
  if (!values.every(Number.isFinite)) throw new Error("This NPY file holds values that are NaN or infinite.");
  return { values, height, width, lossy: false };
}

const NPY_READERS = {
  b1: (view, at) => view.getUint8(at),
  u1: (view, at) => view.getUint8(at),
  i1: (view, at) => view.getInt8(at),
  u2: (view, at) => view.getUint16(at, true),
  i2: (view, at) => view.getInt16(at, true),
  u4: (view, at) => view.getUint32(at, true),
  i4: (view, at) => view.getInt32(at, true),
  u8: (view, at) => view.getBigUint64(at, true),
  i8: (view, at) => view.getBigInt64(at, true),
  f4: (view, at) => view.getFloat32(at, true),
  f8: (view, at) => view.getFloat64(at, true),
};

/** Phase labels as an NPY file: (side, side) uint8; or a latent vector: (latent,) float32. */
function writeNpy(array, shape) {
  const type = array instanceof Uint8Array ? "|u1" : "<f4";
  const header = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  // Head and header together are a multiple of 64 bytes and end with a line feed.
  const padded = header.padEnd(64 * Math.ceil((header.length + 11) / 64) - 11) + "\n";
  const head = Uint8Array.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, padded.length & 255, padded.length >> 8]);
  return new Blob([head, padded, array], { type: "application/octet-stream" });
}

/**
 * Phase labels of grey values: few distinct values are labels in ascending order, others are parted by thresholds.
 * @param {{values: Float32Array, lossy: boolean}} image
 * @param {number} phases
 * @param {number[]} [given] thresholds, by default Otsu's
 * @returns {{labels: Uint8Array, thresholds: ?number[]}} thresholds null: the values were labels
 */
function segment({ values, lossy }, phases, given) {
  const distinct = fewValues(values, MOST_LABELS);
  if (distinct && distinct.length === 1) {
    throw new Error("This image is of one value all over; choose one that shows a microstructure.");
  }
  const labels = new Uint8Array(values.length);
  if (!given && distinct && !lossy && distinct.length <= phases) {
    const named = distinct.every((value) => Number.isInteger(value) && value >= 0 && value < phases);
    if (!named && distinct.length < phases) {
      throw new Error(`This image has ${distinct.length} grey levels; the model has ${phases} phases.`);
    }
    for (let i = 0; i < labels.length; i++) labels[i] = named ? values[i] : distinct.indexOf(values[i]);
    return { labels, thresholds: null };
  }
  if (distinct && distinct.length < phases) {
    throw new Error(`This image has ${distinct.length} grey levels; the model has ${phases} phases.`);
  }
  const thresholds = given ?? otsuThresholds(values, phases);
  for (let i = 0; i < labels.length; i++) {
    let label = 0;
    while (label < thresholds.length && values[i] > thresholds[label]) label++;
    labels[i] = label;
  }
  return { labels, thresholds };
}

/** Distinct values in ascending order; null if there are more than `most`. */
function fewValues(values, most) {
  const seen = new Set();
  for (const value of values) {
    if (seen.size === most && !seen.has(value)) return null;
    seen.add(value);
  }
  return [...seen].sort((a, b) => a - b);
}

/**
 * Thresholds that part the values into classes of greatest between-class variance (Otsu's criterion, for any number
 * of classes by dynamic programming on a histogram).
 * @returns {number[]} classes − 1 thresholds, ascending
 */
function otsuThresholds(values, classes) {
  let low = Infinity;
  let high = -Infinity;
  let whole = true;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
    whole &&= Number.isInteger(value);
  }
  // A bin for every integer, else BINS between the ends.
  const byInteger = whole && high - low < BINS;
  let bins = byInteger ? high - low + 1 : BINS;
  const begin = byInteger ? low - 0.5 : low;
  const width = byInteger ? 1 : (high - low) / BINS;
  const binOf = (value) => Math.min(bins - 1, Math.max(0, Math.floor((value - begin) / width)));
  let centre = (bin) => bin * width;
  let { counts, least, largest } = histogram(values, bins, binOf);
  if (counts.filter((count) => count).length < classes) {
    // An outlier has all other values in one bin: bins of as many distinct values each.
    const inner = innerEdges(values);
    const edges = [low, ...inner, high];
    bins = inner.length + 1;
    centre = (bin) => 0.5 * (edges[bin] + edges[bin + 1]) - low;
    ({ counts, least, largest } = histogram(values, bins, (value) => countUpTo(inner, value)));
  }
  const weight = new Float64Array(bins + 1);
  const moment = new Float64Array(bins + 1);
  for (let bin = 0; bin < bins; bin++) {
    weight[bin + 1] = weight[bin] + counts[bin];
    moment[bin + 1] = moment[bin] + counts[bin] * centre(bin);
  }
  // What bins i … j − 1 as one class add to the between-class variance; no class may be empty.
  const gain = (i, j) =>
    weight[j] > weight[i] ? (moment[j] - moment[i]) ** 2 / (weight[j] - weight[i]) : -Infinity;
  let best = Float64Array.from({ length: bins + 1 }, (_, j) => gain(0, j));
  const choices = [];
  for (let part = 1; part < classes; part++) {
    const choice = new Uint16Array(bins + 1);
    const next = new Float64Array(bins + 1).fill(-Infinity);
    for (let j = 0; j <= bins; j++) {
      for (let i = 0; i <= j; i++) {
        const total = best[i] + gain(i, j);
        if (total > next[j]) {
          next[j] = total;
          choice[j] = i;
        }
      }
    }
    choices.push(choice);
    best = next;
  }
  const cuts = [];
  let end = bins;
  for (const choice of choices.reverse()) {
    end = choice[end];
    cuts.push(end);
  }
  // Halfway between the values on both sides.
  return cuts.reverse().map((cut) => {
    const below = largest.subarray(0, cut).reduce((a, b) => Math.max(a, b), -Infinity);
    const above = least.subarray(cut).reduce((a, b) => Math.min(a, b), Infinity);
    return 0.5 * (below + above);
  });
}

/** Of each bin how many values there are, and the least and the largest of them. */
function histogram(values, bins, binOf) {
  const counts = new Float64Array(bins);
  const least = new Float64Array(bins).fill(Infinity);
  const largest = new Float64Array(bins).fill(-Infinity);
  for (const value of values) {
    const bin = binOf(value);
    counts[bin]++;
    least[bin] = Math.min(least[bin], value);
    largest[bin] = Math.max(largest[bin], value);
  }
  return { counts, least, largest };
}

/** Edges, BINS − 1 at most, halfway between distinct values, as many of them from one edge to the next. */
function innerEdges(values) {
  const distinct = [...new Set(values)].sort((a, b) => a - b);
  const between = distinct.slice(1).map((value, i) => 0.5 * (value + distinct[i]));
  const count = Math.min(between.length, BINS - 1);
  return Array.from({ length: count }, (_, i) => between[Math.round((i * (between.length - 1)) / Math.max(1, count - 1))]);
}

/** How many of ascending numbers are at most the value. */
function countUpTo(numbers, value) {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * A square of an image, shrunk to the model's size: every pixel takes the most frequent phase of what it covers.
 * @param {{labels: Uint8Array, width: number}} image
 * @param {{row: number, column: number, size: number}} square within the image, size ≥ side
 * @returns {Uint8Array} side · side labels
 */
function cutOut({ labels, width }, { row, column, size }, side, phases) {
  const cut = new Uint8Array(side * side);
  const votes = new Uint32Array(phases);
  const edge = (i) => Math.floor((i * size) / side);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      votes.fill(0);
      for (let r = edge(y); r < edge(y + 1); r++) {
        for (let c = edge(x); c < edge(x + 1); c++) votes[labels[(row + r) * width + column + c]]++;
      }
      let most = 0;
      for (let phase = 1; phase < phases; phase++) if (votes[phase] > votes[most]) most = phase;
      cut[y * side + x] = most;
    }
  }
  return cut;
}

/** Grey level of a phase: 0 black, the last white; halves go to the even number, as NumPy rounds. */
function greyLevel(phase, phases) {
  const level = (255 * phase) / (phases - 1);
  const nearest = Math.round(level);
  return nearest - level === 0.5 && nearest % 2 === 1 ? nearest - 1 : nearest;
}

/** Draw labels into the pixels of an ImageData. */
function drawLabels(pixels, labels, phases) {
  const { data } = pixels;
  for (let i = 0; i < labels.length; i++) {
    const grey = greyLevel(labels[i], phases);
    data[4 * i] = data[4 * i + 1] = data[4 * i + 2] = grey;
    data[4 * i + 3] = 255;
  }
}

/** Draw probabilities: of each pixel the expected grey level. */
function drawProbabilities(pixels, probabilities, phases) {
  const { data } = pixels;
  const channels = phases === 2 ? 1 : phases;
  for (let i = 0; i < data.length / 4; i++) {
    let grey = 0;
    if (channels === 1) grey = 255 * probabilities[i];
    else for (let k = 1; k < channels; k++) grey += probabilities[i * channels + k] * greyLevel(k, phases);
    data[4 * i] = data[4 * i + 1] = data[4 * i + 2] = Math.round(grey);
    data[4 * i + 3] = 255;
  }
}
