"""What is the same in every report: its explanations, for a materials scientist, and its style sheet."""

from davegan_tf.likeness import LEAST_DIVERSITY
from davegan_tf.scorecard import LIMIT

# Of the columns of `davegan_tf.evaluation_table.HEAD`: the last comes first, so that a phone shows it.
COLUMNS = {
    "verdict": f"PASS where the ratio is at most {LIMIT:g}, for diversity where the value is at least "
    f"{LEAST_DIVERSITY:g}; – where nothing can be judged, for example with too few tiles for a floor, or where real "
    "crops of one half of a small micrograph are so near to the other half that copies would be no nearer.",
    "value": "What was measured on the images of this model. For errors and distances smaller is better; for "
    "diversity, coverage and pixels as in the original larger is better.",
    "paper": "The value published for this material (Table 4 of the paper), where there is one.",
    "floor": "The same measure for something real, mean ± standard deviation. For E_rec, E_gen, diversity, coverage "
    "and the memorised share it is what real crops of the micrograph get in place of the model's images. For the other "
    "statistics it is the uncertainty of the micrograph's own mean: half the mean difference of random halves that "
    "have no pixel in common. This is about the standard error of a curve, and 0.8 of that of a single number. No "
    "model can be asked to be closer than that.",
    "noise": "The same measure for white noise: pixels drawn at random with the right phase fractions. A measure for "
    "which noise is no worse than the floor cannot see structure, and a good value of it proves nothing.",
    "ratio": "Value over floor (floor over value where larger is better): 1 is as good as real material, "
    f"up to {LIMIT:g} passes, ∞ stands where it is divided by 0. Of φ and structure every phase has its own ratio, "
    "and their mean stands here; value and floor are means over the phases, too.",
    "95 % interval": "Where the ratio would lie in 95 of 100 repetitions with other samples and crops (bootstrap). If "
    f"it holds {LIMIT:g}, more samples may change the verdict.",
    "noise ratio": "Noise over floor: how far away white noise is on the same scale. The larger, the sharper the "
    "measure.",
    "strict ratio": "Value over what two sets of crops of this very micrograph differ by. Such crops overlap, so this "
    f"asks for the micrograph's exact numbers: new material of the same kind exceeds {LIMIT:g}, too. It has no part in "
    "the verdict.",
}

# By the keys of `davegan_tf.evaluation_table.LABELS`.
MEASURES = {
    "E_rec": "Error of a reconstruction: root mean square difference between its two-point correlation and that of its "
    "own tile (Eq. 12).",
    "E_rec_near": "The same over lags shorter than 16 pixels.",
    "E_gen": "Error of a sample: the same difference to the training tile that is closest to it. It sees little but "
    "the phase fraction, and a copy of a tile has the error 0. The real crops of the floor are pieces of tiles; "
    "disjoint crops are compared only with the tiles that they have no pixel of, as samples have none of any.",
    "E_gen_near": "The same over lags shorter than 16 pixels.",
    "pixel_accuracy": "Share of pixels that have the same phase in tile and reconstruction.",
    "diversity": "How much two samples differ, in units of how much two real crops do. Near 0 the model "
    "repeats itself.",
    "coverage": "Share of real crops that have a sample as near as their nearest other crop, by the share of differing "
    "pixels over what chance gives. Low values: part of the material is never generated.",
    "memorisation": "Share of samples nearer to a piece of the training data than 99 % of real crops are to other "
    "places of the micrograph, by the same distance. High values: the model copies, or, "
    "where mirrored samples have as high a share, its structures are simpler than the material.",
    "volume_fraction": "Distance between the mean phase fraction φ of the images and of real crops.",
    "volume_fraction_spread": "The same for the spread of φ from image to image.",
    "autocovariance_8": "Two-point correlation without the phase fraction, at lags up to 8 pixels: size and shape of "
    "the features.",
    "autocovariance_32": "The same at lags up to 32 pixels: also how features are arranged.",
    "interface_density": "Phase boundaries crossed per pixel along a line: the amount of interface.",
    "lineal_path": "Probability that a straight line of some length lies wholly in a phase.",
    "chord_lengths": "How long the runs of a phase along straight lines are, from one boundary to the next.",
    "euler_number": "Clusters minus holes, per pixel: islands make it positive, a network negative.",
    "largest_cluster": "Share of a phase that hangs together in its largest cluster.",
    "percolation": "Share of images in which a phase connects opposite sides.",
}

STYLE = """\
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #fff; --raised: #f6f8fa; --line: #d0d7de;
  --pass: #116329; --pass-back: #d4f4dc; --fail: #a40e26; --fail-back: #ffdcd9;
  --crops: #767676; --samples: #d55e00; --noise: #0072b2; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9ba5b0; --paper: #0d1117;
  --raised: #161b22; --line: #363d47; --pass: #7ee2a0; --pass-back: #123d22; --fail: #ffb3ad; --fail-back: #571a1c;
  --crops: #9a9a9a; --samples: #f58a3a; --noise: #56a8e0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 78rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; padding-bottom: .2rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .3rem; }
p { max-width: 48rem; margin: .5rem 0; }
a { color: inherit; }
.soft, figcaption { color: var(--soft); font-size: .875rem; }
.facts { display: flex; flex-wrap: wrap; gap: .4rem 2rem; margin: .5rem 0; }
.facts dt { color: var(--soft); font-size: .8rem; }
.facts dd { margin: 0; }
.verdict { margin: 1rem 0; padding: .8rem 1rem; border-left: .5rem solid; border-radius: .3rem; }
.verdict p { margin: 0; max-width: none; }
.verdict .word { font-size: 2rem; font-weight: 700; line-height: 1.2; }
.pass { color: var(--pass); background: var(--pass-back); }
.fail { color: var(--fail); background: var(--fail-back); }
.none { background: var(--raised); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .3rem .5rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; white-space: normal; }
th:first-child { text-align: left; white-space: normal; min-width: 8.5rem; position: sticky; left: 0;
  background: var(--paper); font-weight: 600; }
tbody th[scope=rowgroup] { background: var(--raised); }
tr.group td { background: var(--raised); }
th small { display: block; font-weight: 400; color: var(--soft); }
td.mark, th.scale { text-align: center; font-weight: 700; }
.scale { width: 9rem; padding: 0 .5rem; }
.scale svg { display: block; width: 8rem; height: 1.5rem; }
td.scale { background: none; }
.explained { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 0 2.5rem; }
.explained dl { display: grid; grid-template-columns: 9rem 1fr; gap: .3rem 1rem; margin: 0; font-size: .875rem;
  line-height: 1.4; }
.explained dt { font-weight: 600; }
.explained dd { margin: 0; }
img { display: block; image-rendering: pixelated; outline: 1px solid var(--line); }
figure { margin: 0; }
.gallery { display: flex; flex-wrap: wrap; gap: 1rem; }
.pair { width: min-content; }
.pair div { display: flex; gap: 5px; }
.sets { display: flex; flex-wrap: wrap; gap: 1.5rem; }
.sets section { max-width: 100%; width: calc(var(--columns) * (var(--tile) + 4px) - 4px); }
.sets .gallery { gap: 4px; }
.sets img { width: var(--tile); height: auto; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(16rem, 100%), 1fr)); gap: 1rem 1.5rem; }
.panels figcaption { font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; }
.legend span { display: flex; align-items: center; gap: .4rem; margin-right: 1.2rem; }
.legend i { display: inline-block; width: 1.8rem; border-top: 3px solid var(--samples); }
.legend .crops { border: solid color-mix(in srgb, var(--crops) 35%, transparent); border-width: .4rem 0;
  background: var(--crops) padding-box; height: calc(.8rem + 2px); }
.legend .noise { border-top: 3px dashed var(--noise); }
figure svg { display: block; width: 100%; height: auto; fill: currentColor; stroke-linejoin: round; }
.losses svg { min-width: 40rem; max-width: 62rem; }
@media (max-width: 40rem) { .explained dl { display: block; } .explained dd { margin: 0 0 .6rem; } }
@media (min-width: 70rem) { th:first-child { min-width: 16rem; } }
@media print { body { max-width: none; padding: 0; font-size: 10pt; } .scroll { overflow: visible; }
  table { font-size: 7pt; } th, td { padding: .15rem .25rem; } th:first-child { position: static; min-width: 0; }
  .scale { width: auto; } .scale svg { width: 5rem; }
  .pair img { width: 2.2cm; height: auto; } .sets { --tile: 2cm !important; gap: .8cm; }
  .panels { grid-template-columns: repeat(3, 1fr); }
  figure, tr, .verdict { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .pass, .fail, .none, img, svg, .legend i { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
