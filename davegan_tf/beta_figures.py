"""The picture of Figure 3: reconstruction error, and what else depends on β, over β."""

from matplotlib.figure import Figure

from davegan_tf.drawing import DOTS_PER_INCH, PALETTE, save_figure, tidy

_MARKERS = "os^Dv*"


def figure_3(path, results):
    """E_rec over β, a curve for each number of epochs, beside disentanglement and traversals of the longest curve.

    Parameters
    ----------
    path : Path
    results : sequence of dict
        As of :func:`davegan_tf.beta_study.read_point`.
    """
    figure = Figure(figsize=(10, 4), dpi=DOTS_PER_INCH, layout="constrained")
    error, shares = figure.subplots(1, 2)
    curves = {}
    for each in results:
        curves.setdefault(each["epochs"], []).append(each)
    for index, (epochs, points) in enumerate(sorted(curves.items())):
        x, y = _means(points, lambda each: each["E_rec"])
        error.plot(x, y, label=f"{epochs} epochs", **_style(index))
    error.set_title("(a) Reconstruction error, Eq. 12", loc="left", fontsize=10, fontweight="bold")
    error.set_ylabel("E_rec")
    error.set_ylim(0, 1.08 * max(each["E_rec"] for each in results))
    most = max(curves.values(), key=lambda points: len({each["beta"] for each in points}))
    measures = {
        "frames one ellipse, ±2σ": lambda each: each["traversals"]["one_ellipse_within_2"],
        "R² of the parameters, mean": _mean_r2,
        "DCI disentanglement": lambda each: each["disentanglement"]["dci_disentanglement"],
        "MIG": lambda each: each["disentanglement"]["mig"],
    }
    for index, (label, measure) in enumerate(measures.items()):
        shares.plot(*_means(most, measure), label=label, **_style(index))
    title = f"(b) Latent space, {most[0]['epochs']} epochs"
    shares.set_title(title, loc="left", fontsize=10, fontweight="bold")
    shares.set_ylim(0, 1.02)
    for axes in (error, shares):
        axes.set_xscale("log")
        axes.set_xlabel("β")
        axes.legend(fontsize=8, frameon=False)
        tidy(axes)
    save_figure(figure, path)


def _style(index):
    return {
        "color": PALETTE[index % len(PALETTE)],
        "marker": _MARKERS[index % len(_MARKERS)],
    }


def _mean_r2(result):
    scores = [each["neighbours"] for each in result["r2"].values()]
    return sum(scores) / len(scores)


def _means(points, measure):
    """β, ascending, and the mean over the seeds."""
    by_beta = {}
    for each in points:
        by_beta.setdefault(each["beta"], []).append(measure(each))
    betas = sorted(by_beta)
    return betas, [sum(by_beta[beta]) / len(by_beta[beta]) for beta in betas]
