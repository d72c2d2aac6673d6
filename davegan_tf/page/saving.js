"use strict";
// What the user takes away: files and a link; and the page's colours, which it keeps.

function download(blob, suffix) {
  const name = `${model.name.replace(/[^\w-]+/g, "-")}${suffix}`;
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  say(`Saved ${name}`);
}

/** Labels, even where probabilities are shown: what other programs shall read. */
function savePng() {
  const canvas = element("canvas");
  new Picture(canvas).labels(page.generator.labels);
  canvas.toBlob((blob) => download(blob, ".png"), "image/png");
}

function saveCurve() {
  const { mean, std } = page.chart.reference;
  const curve = page.correlation.run(page.generator.labels, state.phase);
  const rows = mean.map((value, lag) => [lag * page.chart.pixelSize, curve[lag], value, std[lag]].join(","));
  const head = `lag (${page.chart.unit}),S2 of the structure,S2 mean of ${page.reference},S2 standard deviation`;
  download(new Blob([[head, ...rows, ""].join("\n")], { type: "text/csv" }), "-s2.csv");
}

async function copyLink() {
  remember();
  try {
    await navigator.clipboard.writeText(location.href);
    say("Link copied");
  } catch {
    say("This browser does not allow copying; the link is in the address bar");
  }
}

function wireSaving() {
  const { side, latent } = model;
  at("copy").addEventListener("click", copyLink);
  at("save-png").addEventListener("click", savePng);
  at("save-npy").addEventListener("click", () => download(writeNpy(page.generator.labels, [side, side]), ".npy"));
  at("save-z").addEventListener("click", () => download(writeNpy(state.z, [latent]), "-z.npy"));
  at("save-curve").addEventListener("click", saveCurve);
  at("theme").addEventListener("click", nextTheme);
}

const THEMES = ["automatic", "light", "dark"];

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  at("theme").textContent = `Colours: ${name}`;
  refit();
}

function nextTheme() {
  const name = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
  setTheme(name);
  try {
    localStorage.setItem("colours", name);
  } catch {
    // A browser may refuse to remember.
  }
}

function rememberedTheme() {
  try {
    const name = localStorage.getItem("colours");
    return THEMES.includes(name) ? name : "automatic";
  } catch {
    return "automatic";
  }
}
