"""The measurements of `davegan benchmark`: workers side by side, interleaved, medians and ratios.

Everything returns plain dicts, ready for JSON; ``report`` makes tables of them. This process imports neither
TensorFlow nor PyTorch.
"""

import contextlib
import importlib.util
import statistics

from benchmarks.pool import Worker, WorkerError
from benchmarks.startup import measure_startup

PARTS = ("step", "generation", "startup", "cost")
# What `--contenders` may name, and the workers each stands for.
CONTENDERS = {
    "fit": ("fit",),
    "loop": ("loop",),
    "loop:graph": ("loop:graph",),
    "loop:xla": ("loop:xla",),
    "loop:xla_matmul": ("loop:xla_matmul",),
    "ablation": (
        "ablation:no_barriers",
        "ablation:automatic_gradients",
        "ablation:operands_in_place",
        "ablation:pixels_in_place",
        "ablation:borders_first",
        "ablation:uneven_vectors",
        "ablation:gradients_apart",
        "ablation:separate_passes",
        "ablation:weights_apart",
        "ablation:draws_in_place",
        "ablation:library_convolutions",
    ),
    "torch": ("torch:1", "torch:2"),
    "torch:1": ("torch:1",),
    "torch:2": ("torch:2",),
}
FAILED = "failed, see below"
TORCH_MISSING = "not installed: pip install 'davegan-tf[benchmark]'"

PRODUCTS = {1024: 20, 2048: 4}  # products of matrices of this side, a round
GENERATION_BATCHES = (1, 4, 16, 64, 256, 1024)
GENERATION_PIXELS = 1024 * 64**2  # a batch has at most as many, for its memory's sake
GENERATION_SAMPLES = 256  # at least, a round
COST_SIDES, COST_BATCHES = (32, 64, 128, 256), (4, 16, 64)
COST_SECONDS = 2.0


def measure(parts, options, *, contenders, rounds, steps, say):
    """Run the chosen parts.

    Parameters
    ----------
    parts : sequence of PARTS
    options : dict, ``config`` and ``overrides`` as every worker takes them
    contenders : sequence of keys of CONTENDERS
    rounds, steps : int
        Repetitions, and steps of each contender in each.
    say : callable of str
        Told what is going on.

    Returns
    -------
    dict
        ``machine``, ``versions``, one entry per part and ``failures``, the messages of what could not be measured.
    """
    results = {"options": options, "failures": []}
    # Stays to the end, waiting: the measure of the machine's speed is taken beside whatever is compared to it.
    say("preparing matmul …")
    with Worker("matmul", options) as machine:
        results.update({key: machine.about[key] for key in ("machine", "versions")})
        if "step" in parts:
            results["step"] = measure_step(
                options, machine, contenders, rounds, steps, say, results["failures"]
            )
        if "generation" in parts:
            results["generation"] = _tried(
                results["failures"], measure_generation, options, rounds, say
            )
        if "startup" in parts:
            results["startup"] = _tried(results["failures"], measure_startup, say)
        if "cost" in parts:
            results["cost"] = measure_cost(options, say, results["failures"])
    return results


def measure_step(options, machine, contenders, rounds, steps, say, failures):
    """Milliseconds a training step takes each contender, all in the same rounds.

    Parameters
    ----------
    machine : Worker of ``matmul``
    failures : list of str, to be added to
    others : see `measure`

    Returns
    -------
    dict
    """
    names = list(dict.fromkeys(name for key in contenders for name in CONTENDERS[key]))
    rows = {name: {"ms": []} for name in names}
    products = {side: [] for side in PRODUCTS}
    with contextlib.ExitStack() as stack:
        workers = {}
        for name in names:
            if name.startswith("torch") and importlib.util.find_spec("torch") is None:
                rows[name]["note"] = TORCH_MISSING
                continue
            say(f"preparing {name} …")
            try:
                worker = stack.enter_context(
                    Worker(name, {**options, "table": machine.about["table"]})
                )
                worker.go(steps)  # some programs are compiled for one number of steps
            except WorkerError as error:
                failures.append(str(error))
                rows[name]["note"] = FAILED
                continue
            workers[name] = worker
            rows[name].update(about=worker.about, prepare_seconds=worker.prepare_seconds)
        for index in range(rounds):
            say(f"round {index + 1} of {rounds}, {steps} steps each …")
            for side, count in PRODUCTS.items():
                gflop = 2e-9 * side**3 * count
                products[side].append(gflop / machine.go(count, side))
            for name, worker in list(workers.items()):
                try:
                    rows[name]["ms"].append(1e3 * worker.go(steps) / steps)
                except WorkerError as error:
                    failures.append(str(error))
                    rows[name] = {"ms": [], "note": FAILED}
                    del workers[name]
        for name, worker in workers.items():
            rows[name]["peak_mb"] = worker.peak_mb
    gflop = machine.about["gflop"]
    matmul = {str(side): max(speeds) for side, speeds in products.items()}
    loops = sorted(name for name in names if name.startswith("loop"))  # "loop" itself first
    reference = next(iter(loops), None)
    _compare(rows, reference, gflop, max(matmul.values()))
    measured = [name for name in names if name.startswith("torch") and rows[name]["ms"]]
    return {
        "gflop": gflop,
        "steps": steps,
        "rounds": rounds,
        "matmul_gflops": matmul,
        "reference": reference,
        "contenders": rows,
        "pytorch": min(measured, key=lambda name: rows[name]["median_ms"], default=None),
    }


def _compare(rows, reference, gflop, machine_gflops):
    """Add medians, ratios to the reference (round by round) and shares of the machine's speed."""
    for row in rows.values():
        if not row["ms"]:
            continue
        row["median_ms"] = statistics.median(row["ms"])
        row["gflops"] = gflop / row["median_ms"] * 1e3
        row["share"] = row["gflops"] / machine_gflops
        base = rows[reference]["ms"] if reference else []
        # A reference that failed has no times.
        if base:
            row["ratios"] = [one / other for one, other in zip(row["ms"], base, strict=True)]
            row["median_ratio"] = statistics.median(row["ratios"])


def measure_generation(options, rounds, say):
    """Samples of the prior, in millions of pixels a second, for several batch sizes in the same rounds."""
    say("preparing generation …")
    with Worker("generation", options) as worker:
        pixels = worker.about["side"] ** 2
        batches = [batch for batch in GENERATION_BATCHES if batch * pixels <= GENERATION_PIXELS]
        speeds = {batch: [] for batch in batches}
        for batch in batches:
            worker.go(1, batch)
        for index in range(rounds):
            say(f"generation, round {index + 1} of {rounds} …")
            for batch in batches:
                count = max(1, GENERATION_SAMPLES // batch)
                speeds[batch].append(count * batch * pixels / worker.go(count, batch) / 1e6)
        medians = {batch: statistics.median(values) for batch, values in speeds.items()}
        return {
            "side": worker.about["side"],
            "mpx_per_s": {str(batch): values for batch, values in speeds.items()},
            "median_mpx_per_s": {str(batch): value for batch, value in medians.items()},
            "best_batch": max(medians, key=medians.get),
            "default_batch": worker.about["default_batch"],
            "peak_mb": worker.peak_mb,
        }


def measure_cost(options, say, failures, sides=COST_SIDES, batches=COST_BATCHES):
    """What a step of our training loop costs for each image side and batch size: a list of dicts."""
    rows = []
    for side in sides:
        for batch in batches:
            say(f"side {side}, batch {batch} …")
            row = {"side": side, "batch": batch}
            rows.append(row)
            try:
                with Worker(
                    "loop", {**options, "overrides": cost_overrides(options, side, batch)}
                ) as worker:
                    worker.go(1)
                    steps = min(max(2, round(COST_SECONDS / worker.go(1))), 500)
                    worker.go(steps)  # some programs are compiled for one number of steps
                    row["ms"] = 1e3 * worker.go(steps) / steps
                    row.update(worker.about, steps=steps, peak_mb=worker.peak_mb)
                    row["gflops"] = row["gflop"] / row["ms"] * 1e3
            except WorkerError as error:
                failures.append(str(error))
                row["note"] = FAILED
    return rows


def cost_overrides(options, side, batch):
    """The overrides of one row of the cost table."""
    return [*options["overrides"], f"data.image_size={side}", f"training.batch_size={batch}"]


def _tried(failures, function, *arguments):
    try:
        return function(*arguments)
    except WorkerError as error:
        failures.append(str(error))
        return None
