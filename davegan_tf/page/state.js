"use strict";
// What is undone, and what a link restores.

/** Base64 that needs no escaping in an address. */
function toText(z) {
  const bytes = new Uint8Array(z.buffer, z.byteOffset, z.byteLength);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The latent vector in a text of toText; an Error says what is wrong with it. */
function fromText(text, latent) {
  let bytes;
  try {
    bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  } catch {
    throw new Error("This link is damaged; copy it again, as a whole.");
  }
  if (bytes.length !== 4 * latent) {
    throw new Error("This link is damaged or belongs to another model; copy it again, as a whole.");
  }
  const z = new Float32Array(bytes.buffer);
  if (!z.every(Number.isFinite)) throw new Error("This link is damaged; copy it again, as a whole.");
  return z;
}

/**
 * The state as the part of the address after #.
 * @param {{z: Float32Array, dimension: number, phase: number, a: ?Float32Array, b: ?Float32Array}} state
 */
function encodeState({ z, dimension, phase, a, b }) {
  const parts = [`z=${toText(z)}`, `dimension=${dimension}`, `phase=${phase}`];
  if (a) parts.push(`a=${toText(a)}`);
  if (b) parts.push(`b=${toText(b)}`);
  return parts.join("&");
}

/** The state in a text of encodeState; null if it holds none. */
function decodeState(text, latent) {
  const entries = new URLSearchParams(text);
  if (!entries.has("z")) return null;
  const vector = (key) => (entries.has(key) ? fromText(entries.get(key), latent) : null);
  const number = (key) => (/^\d+$/.test(entries.get(key)) ? Number(entries.get(key)) : 0);
  return {
    z: vector("z"),
    dimension: Math.min(number("dimension"), latent - 1),
    phase: number("phase"),
    a: vector("a"),
    b: vector("b"),
  };
}

/** Latent vectors that were shown, to go back to. */
class UndoStack {
  /** @param {Float32Array} z shown at the beginning */
  constructor(z) {
    this.current = z.slice();
    this.past = [];
    this.future = [];
    this.last = { what: "", time: -Infinity };
  }

  /**
   * Remember a new z; one slider moved again and again within a second is one change.
   * @param {Float32Array} z
   * @param {string} what was done
   * @param {number} time in milliseconds
   * @returns {boolean} whether z is another than before
   */
  commit(z, what, time) {
    if (z.every((value, i) => value === this.current[i])) return false;
    const more = what === this.last.what && time - this.last.time < 1000 && this.past.length > 0;
    if (!more) this.past.push({ z: this.current, what });
    if (this.past.length > UndoStack.MOST) this.past.shift();
    this.future = [];
    this.current = z.slice();
    this.last = { what, time };
    return true;
  }

  /** Step back; returns what is undone, or null. */
  undo() {
    return this.move(this.past, this.future);
  }

  /** Step forward again; returns what is redone, or null. */
  redo() {
    return this.move(this.future, this.past);
  }

  move(from, to) {
    if (!from.length) return null;
    const { z, what } = from.pop();
    to.push({ z: this.current, what });
    this.current = z;
    this.last = { what: "", time: -Infinity };
    return what;
  }
}
UndoStack.MOST = 200;
