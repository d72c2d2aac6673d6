"""Grey values → phase labels. Nothing is guessed silently: what was done comes back as a phrase."""

import numpy as np

from davegan_tf.errors import InputError
from davegan_tf.limits import MOST_PHASES


def otsu_thresholds(values: np.ndarray, classes: int, bins: int = 256) -> np.ndarray:
    """Thresholds that part the values into classes of greatest between-class variance.

    Otsu's criterion for any number of classes, solved exactly on a histogram by dynamic programming
    (an exhaustive search takes hours for 8 classes).

    Parameters
    ----------
    values : (...) int or float
    classes : int ≥ 2
    bins : int
        Bins of the histogram between the smallest and the largest value; images of 8-bit integers
        get one bin per integer.

    Returns
    -------
    thresholds : (classes − 1,) float, ascending
        A value belongs to class k if it lies above exactly k of them.

    References
    ----------
    Otsu, IEEE Trans. Syst. Man Cybern. 9, 62 (1979); Liao, Chen and Chung, J. Inf. Sci. Eng. 17,
    713 (2001).
    """
    values = np.asarray(values)
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind in "iu" and high - low < bins:
        edges = np.arange(low, high + 2) - 0.5
    else:
        edges = np.linspace(low, high, bins + 1)
    counts, _ = np.histogram(values.astype(np.float64), edges)
    if np.count_nonzero(counts) < classes:
        # An outlier has all other values in one bin: bins of as many distinct values each.
        distinct = np.unique(values).astype(np.float64)
        inner = 0.5 * (distinct[1:] + distinct[:-1])
        inner = inner[np.linspace(0, len(inner) - 1, min(len(inner), bins - 1)).round().astype(int)]
        edges = np.concatenate([distinct[:1], inner, distinct[-1:]])
        counts, _ = np.histogram(values.astype(np.float64), edges)
    centres = 0.5 * (edges[:-1] + edges[1:])
    weight = np.concatenate([[0.0], np.cumsum(counts)])
    moment = np.concatenate([[0.0], np.cumsum(counts * (centres - centres[0]))])
    # gain[i, j]: share of the class of bins i … j − 1 in the between-class variance.
    mass = weight[np.newaxis, :] - weight[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = (moment[np.newaxis, :] - moment[:, np.newaxis]) ** 2 / mass
    gain[mass <= 0] = -np.inf  # no class may be empty
    best, choices = gain[0], []
    for _ in range(classes - 1):
        total = best[:, np.newaxis] + gain
        choices.append(np.argmax(total, axis=0))
        best = np.max(total, axis=0)
    cuts, end = [], len(counts)
    for choice in reversed(choices):
        end = int(choice[end])
        cuts.append(end)
    # Halfway between the values on both sides: none lies on a threshold, as one may on an edge.
    sides = [(values[values < edge].max(), values[values >= edge].min()) for edge in edges[cuts]]
    return np.array([0.5 * (float(below) + float(above)) for below, above in reversed(sides)])


def segment(
    values: np.ndarray,
    *,
    threshold: str | float | None = None,
    phases: int | None = None,
    lossy: bool = False,
    where: str,
) -> tuple[np.ndarray, int, str]:
    """Phase labels of a grey or label image.

    An image of 2 … 8 distinct values is taken as labels, in ascending order, unless a threshold is
    given. Any other needs a stated segmentation.

    Parameters
    ----------
    values : (...) bool, int or float
        One image, or several that share their labels.
    threshold : "otsu", float or None
        Two phases: label 1 where the value lies above. In the units of the image (0 … 255 for
        8 bits).
    phases : int, 2 … 8, or None
        Number of phases. Label images may hold at most as many values; grey images are parted by
        Otsu's criterion.
    lossy : bool
        The values come from a lossy compression and are no labels even if they are few.
    where : str
        File or name, for messages.

    Returns
    -------
    labels : (...) uint8, 0 … n_phases − 1, phases in ascending order of value
    n_phases : int
    segmentation : str
        One phrase: what was done, with the volume fractions.

    Raises
    ------
    InputError
        If the segmentation is not stated where it must be, contradicts itself or the image, or
        leaves one phase only.
    """
    values = values.astype(np.uint8) if values.dtype.kind == "b" else values
    if isinstance(threshold, str) and threshold != "otsu":
        raise InputError(f'data.threshold must be "otsu" or a number, not {threshold!r}.')
    if phases is not None and not 2 <= phases <= MOST_PHASES:
        raise InputError(f"data.phases must be a number from 2 to {MOST_PHASES}, not {phases}.")
    if threshold is not None and phases not in (None, 2):
        raise InputError(
            f"data.threshold makes two phases, but data.phases says {phases}; leave one of them "
            "out."
        )
    distinct = np.unique(values)
    if len(distinct) == 1:
        raise InputError(
            f"{where} holds one phase only (all values are {_number(distinct[0])}); give a "
            "microstructure of at least two phases."
        )
    if threshold is not None:
        labels, phrase = _by_threshold(values, threshold, where)
        n_phases = 2
    elif len(distinct) <= MOST_PHASES and not lossy:
        labels, n_phases, phrase = _by_value(values, distinct, phases, where)
    elif phases is not None and len(distinct) >= phases:
        cuts = otsu_thresholds(values, phases)
        labels = np.digitize(values, cuts, right=True).astype(np.uint8)
        n_phases = phases
        kind = "Otsu" if phases == 2 else "multi-Otsu"
        listed = ", ".join(_number(cut) for cut in cuts)
        phrase = f"grey image parted by {kind} at {listed}"
    elif phases is not None:
        raise InputError(
            f"{where} has {len(distinct)} different values, which cannot be parted into data.phases {phases}; give at "
            f"most {len(distinct)}."
        )
    else:
        kind = (
            "a lossily compressed image, whose values are not labels," if lossy else "a grey image"
        )
        raise InputError(
            f"{where} is {kind} with {len(distinct)} different values, and how to part them into "
            'phases must be stated: give data.threshold ("otsu" or a value between '
            f"{_number(distinct[0])} and {_number(distinct[-1])}) for two phases, or data.phases "
            f"(2 to {MOST_PHASES}) for multi-Otsu."
        )
    return labels, n_phases, f"{phrase}; {describe_fractions(labels, n_phases)}"


def describe_fractions(labels: np.ndarray, n_phases: int) -> str:
    """Volume fractions of all phases as one phrase."""
    fractions = [np.count_nonzero(labels == phase) / labels.size for phase in range(n_phases)]
    listed = ", ".join(
        f"phase {phase} {value:.4f}" if value else f"phase {phase} does not occur"
        for phase, value in enumerate(fractions)
    )
    return f"volume fractions: {listed}"


def _number(value: float) -> str:
    return f"{float(value):.6g}"


def _by_threshold(values: np.ndarray, threshold: str | float, where: str) -> tuple[np.ndarray, str]:
    if threshold == "otsu":
        level, how = float(otsu_thresholds(values, 2)[0]), "Otsu's threshold"
    else:
        level, how = float(threshold), "the stated threshold"
    labels = (values > level).astype(np.uint8)
    if labels.min() == labels.max():
        raise InputError(
            f"data.threshold {_number(level)} leaves one phase only in {where}, whose values run "
            f"from {_number(values.min())} to {_number(values.max())}; give a number "
            'between these two, or "otsu".'
        )
    return labels, f"values above {how} {_number(level)} are phase 1"


def _by_value(
    values: np.ndarray, distinct: np.ndarray, phases: int | None, where: str
) -> tuple[np.ndarray, int, str]:
    listed = ", ".join(_number(value) for value in distinct)
    count = len(distinct)
    if phases is not None and count > phases:
        raise InputError(
            f"{where} holds {count} different labels ({listed}), more than the {phases} phases "
            "stated in data.phases; correct that number or the image."
        )
    within = phases is not None and np.isin(distinct, np.arange(phases)).all()
    if within or np.array_equal(distinct, np.arange(count)):
        # With the number of phases stated, a phase may be missing without renaming the others.
        return values.astype(np.uint8), phases or count, f"labels {listed} as given"
    if phases is not None and count < phases:
        raise InputError(
            f"{where} holds {count} different values ({listed}), fewer than the {phases} phases "
            f"stated in data.phases, and they are not labels 0 to {phases - 1}; correct either."
        )
    labels = np.searchsorted(distinct, values).astype(np.uint8)
    targets = ", ".join(str(label) for label in range(count))
    return labels, count, f"the {count} values {listed} taken as labels {targets}"
