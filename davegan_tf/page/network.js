"use strict";
// Encoder and generator: the same numbers as the trained model's, computed layer by layer.

const CHANNELS_AT_ONCE = 4;

/** Bytes of base64 text. */
function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** What zlib has packed. */
async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * The folded layers of both networks.
 * @param {object} networks as the page holds them
 * @returns {Promise<{encoder: object[], generator: object[]}>}
 */
async function readNetworks(networks) {
  const planes = await inflate(bytesOf(networks.weights));
  const numbers = new Float32Array(bytesOf(networks.numbers).buffer);
  const count = planes.length / 4;
  let weight = 0;
  let number = 0;
  const read = {};
  for (const name of ["encoder", "generator"]) {
    const middle = 2 ** (networks[name].bits - 1);
    read[name] = networks[name].layers.map(({ shape, step, padding, slope }) => {
      const [parities, , taps, , inChannels, outChannels] = shape;
      const length = shape.reduce((product, extent) => product * extent, 1);
      const scale = numbers.subarray(number, number + outChannels);
      const bias = Float64Array.from(numbers.subarray(number + outChannels, number + 2 * outChannels));
      const kernel = new Float64Array(length);
      for (let i = 0; i < length; i++, weight++) {
        const code =
          planes[weight] +
          planes[weight + count] * 2 ** 8 +
          planes[weight + 2 * count] * 2 ** 16 +
          planes[weight + 3 * count] * 2 ** 24;
        kernel[i] = (code - middle) * scale[i % outChannels];
      }
      number += 2 * outChannels;
      return {
        parities, taps, inChannels, outChannels, step, padding, slope, bias,
        weights: inBlocks(kernel, parities * parities, taps * taps * inChannels, outChannels),
      };
    });
  }
  return read;
}

/**
 * Weights in the order in which they are used: by parity, then by block of four output channels, then by place in the
 * window; of the last channels, fewer than four, one after the other.
 * @param {Float64Array} kernel (parities, places, channels)
 */
function inBlocks(kernel, parities, places, channels) {
  const ordered = new Float64Array(kernel.length);
  let to = 0;
  for (let parity = 0; parity < parities; parity++) {
    for (let first = 0; first < channels; ) {
      const width = channels - first >= CHANNELS_AT_ONCE ? CHANNELS_AT_ONCE : 1;
      for (let place = 0; place < places; place++) {
        for (let channel = first; channel < first + width; channel++) {
          ordered[to++] = kernel[(parity * places + place) * channels + channel];
        }
      }
      first += width;
    }
  }
  return ordered;
}

/** A network with buffers of its own, so that running it allocates nothing. */
class Network {
  /**
   * @param {object[]} layers of readNetworks; shared between networks
   * @param {number} side of the input in pixels
   */
  constructor(layers, side) {
    this.layers = layers;
    this.inputPadding = layers[0].padding;
    this.buffers = [];
    this.sides = [side];
    for (const [index, { taps, step, padding, parities, outChannels, inChannels }] of layers.entries()) {
      if (index === 0) this.buffers.push(new Float64Array((side + 2 * padding) ** 2 * inChannels));
      const windows = (this.sides[index] + 2 * padding - taps - (parities === 2 ? 1 : 0)) / step + 1;
      const nextSide = parities * Math.floor(windows);
      const around = index + 1 < layers.length ? layers[index + 1].padding : 0;
      this.sides.push(nextSide);
      this.buffers.push(new Float64Array((nextSide + 2 * around) ** 2 * outChannels));
    }
    /** Input, row by row, channels last, with a frame of inputPadding zeros around. */
    this.input = this.buffers[0];
    /** Output of run, row by row, channels last. */
    this.output = this.buffers[layers.length];
  }

  run() {
    for (let index = 0; index < this.layers.length; index++) {
      const next = this.layers[index + 1];
      const padding = next ? next.padding : 0;
      convolve(this.layers[index], this.buffers[index], this.sides[index], this.buffers[index + 1], padding);
    }
    return this.output;
  }
}

/**
 * One layer. Rows of a window lie one after the other in memory, and so do the pixels of a row with their channels.
 * @param {object} layer
 * @param {Float64Array} input with the layer's padding
 * @param {number} inputSide without it
 * @param {Float64Array} output with outputPadding around
 * @param {number} outputPadding
 */
function convolve(layer, input, inputSide, output, outputPadding) {
  const { parities, taps, step, padding, slope, inChannels, outChannels, bias, weights } = layer;
  const inputRow = (inputSide + 2 * padding) * inChannels;
  const run = taps * inChannels;
  const shift = parities === 2 ? 1 : 0;
  const windows = Math.floor((inputSide + 2 * padding - taps - shift) / step) + 1;
  const outputRow = (parities * windows + 2 * outputPadding) * outChannels;
  let block = 0;
  for (let p = 0; p < parities; p++) {
    for (let q = 0; q < parities; q++) {
      for (let channel = 0; channel < outChannels; ) {
        const four = outChannels - channel >= CHANNELS_AT_ONCE;
        for (let m = 0; m < windows; m++) {
          const top = (step * m + shift * p) * inputRow;
          let to = (parities * m + p + outputPadding) * outputRow + (q + outputPadding) * outChannels + channel;
          for (let n = 0; n < windows; n++, to += parities * outChannels) {
            const corner = top + (step * n + shift * q) * inChannels;
            let weight = block;
            if (four) {
              let a = bias[channel];
              let b = bias[channel + 1];
              let c = bias[channel + 2];
              let d = bias[channel + 3];
              for (let row = 0; row < taps; row++) {
                const start = corner + row * inputRow;
                for (let i = start; i < start + run; i++, weight += 4) {
                  const value = input[i];
                  a += value * weights[weight];
                  b += value * weights[weight + 1];
                  c += value * weights[weight + 2];
                  d += value * weights[weight + 3];
                }
              }
              output[to] = a < 0 ? slope * a : a;
              output[to + 1] = b < 0 ? slope * b : b;
              output[to + 2] = c < 0 ? slope * c : c;
              output[to + 3] = d < 0 ? slope * d : d;
            } else {
              let a = bias[channel];
              for (let row = 0; row < taps; row++) {
                const start = corner + row * inputRow;
                for (let i = start; i < start + run; i++, weight++) a += input[i] * weights[weight];
              }
              output[to] = a < 0 ? slope * a : a;
            }
          }
        }
        const width = four ? CHANNELS_AT_ONCE : 1;
        block += taps * run * width;
        channel += width;
      }
    }
  }
}

/** Latent vector → phase probabilities and labels. */
class Generator {
  /**
   * @param {object[]} layers
   * @param {number} side
   * @param {number} phases
   */
  constructor(layers, side, phases) {
    this.network = new Network(layers, 1);
    this.channels = phases === 2 ? 1 : phases;
    /** Probability of phase 1 (two phases) or of each phase, row by row, channels last. */
    this.probabilities = new Float32Array(side * side * this.channels);
    /** Most probable phase of each pixel, row by row. */
    this.labels = new Uint8Array(side * side);
  }

  /** @param {Float32Array} z */
  run(z) {
    this.network.input.set(z);
    const logits = this.network.run();
    if (this.channels === 1) {
      for (let i = 0; i < logits.length; i++) {
        this.probabilities[i] = 1 / (1 + Math.exp(-logits[i]));
        this.labels[i] = logits[i] >= 0 ? 1 : 0;
      }
      return;
    }
    for (let pixel = 0; pixel < this.labels.length; pixel++) {
      const first = pixel * this.channels;
      let best = 0;
      for (let k = 1; k < this.channels; k++) if (logits[first + k] > logits[first + best]) best = k;
      let sum = 0;
      for (let k = 0; k < this.channels; k++) sum += Math.exp(logits[first + k] - logits[first + best]);
      for (let k = 0; k < this.channels; k++) {
        this.probabilities[first + k] = Math.exp(logits[first + k] - logits[first + best]) / sum;
      }
      this.labels[pixel] = best;
    }
  }
}

/** Phase labels → mean of the posterior. */
class Encoder {
  constructor(layers, side, phases, latent) {
    this.network = new Network(layers, side);
    this.side = side;
    this.channels = phases === 2 ? 1 : phases;
    this.zMean = new Float32Array(latent);
  }

  /** @param {Uint8Array} labels row by row */
  run(labels) {
    const { input, inputPadding } = this.network;
    const row = this.side + 2 * inputPadding;
    input.fill(0);
    for (let y = 0; y < this.side; y++) {
      for (let x = 0; x < this.side; x++) {
        const label = labels[y * this.side + x];
        const pixel = ((y + inputPadding) * row + x + inputPadding) * this.channels;
        if (this.channels === 1) input[pixel] = label;
        else input[pixel + label] = 1;
      }
    }
    const features = this.network.run();
    for (let i = 0; i < this.zMean.length; i++) this.zMean[i] = features[i];
    return this.zMean;
  }
}

/**
 * Largest difference of this browser's numbers to the trained model's, on the inputs the page brings along.
 * @returns {{generator: number, encoder: number}}
 */
function differenceToModel(probes, generator, encoder) {
  let generated = 0;
  for (const [index, z] of probes.z.entries()) {
    generator.run(Float32Array.from(z));
    for (const [i, place] of probes.places[index].entries()) {
      const difference = Math.abs(generator.probabilities[place] - probes.probabilities[index][i]);
      generated = Math.max(generated, difference);
    }
  }
  const zMean = encoder.run(Uint8Array.from(probes.labels, Number));
  const encoded = Math.max(...probes.zMean.map((value, i) => Math.abs(value - zMean[i])));
  return { generator: generated, encoder: encoded };
}
