"""What is the same in every report: its explanations, for a materials scientist, and its style sheet."""

from pathlib import Path

from davegan_tf.likeness import LEAST_DIVERSITY
from davegan_tf.ratios import LIMIT

# Of the columns of `davegan_tf.evaluation_table.HEAD`: the last comes first, so that a phone shows it.
COLUMNS = {
    "verdict": f"PASS where the ratio is at most {LIMIT:g}, for diversity where the value is at least "
    f"{LEAST_DIVERSITY:g}; – where nothing can be judged, for example with too few tiles for a floor, or where real "
    "crops of one half of the micrograph are so near to the other half that copies would be no nearer (a small one, or "
    "a material that repeats).",
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
    "memorisation": "Share of samples nearer to a piece of the training data than 99 % of the real crops that do not "
    "repeat exactly are to other places of the micrograph, by the same distance. High values: the model copies, or, "
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

STYLE = (Path(__file__).parent / "page" / "report.css").read_text("utf-8")
