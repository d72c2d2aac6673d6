"""The results of ``measure`` as tables on the terminal."""

import sys

from rich.console import Console
from rich.table import Table

from benchmarks.measure import PARTS

WIDTH = 120  # where the output is no terminal


def print_report(results):
    """Print the machine and one table for every part in ``results``."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False)
    machine, versions = results["machine"], results["versions"]
    devices = ", ".join(machine["devices"])
    console.print(
        f"{machine['processor']}, {machine['cores']} cores ({devices}); Python {machine['python']}, "
        f"TensorFlow {versions['tensorflow']}, Keras {versions['keras']}"
    )
    printers = dict(zip(PARTS, (_step, _generation, _startup, _cost), strict=True))
    for part, show in printers.items():
        if results.get(part):
            console.print()
            show(console, results[part])


def _step(console, step):
    table = _table(
        f"A training step ({step['gflop']:.3f} GFLOP): medians (smallest–largest) of"
        f" {step['rounds']} rounds of {step['steps']} steps",
        "",
        "ms",
        f"× {step['reference'] or '–'}",
        "GFLOP/s",
        "of matmul",
        "peak MB",
        "ready in s",
    )
    for name, row in step["contenders"].items():
        if not row["ms"]:
            table.add_row(_label(name, row), "–")
            continue
        ratio = _spread(row["median_ratio"], row["ratios"], 2) if "ratios" in row else "–"
        table.add_row(
            _label(name, row),
            _spread(row["median_ms"], row["ms"], 2),
            ratio,
            f"{row['gflops']:.1f}",
            f"{100 * row['share']:.1f} %",
            f"{row['peak_mb']:.0f}",
            f"{row['prepare_seconds']:.1f}",
        )
    console.print(table)
    for name, row in step["contenders"].items():
        if "note" in row:
            console.print(f"{_label(name, row)}: {row['note']}")
    speeds = ", ".join(f"{side}³: {speed:.0f}" for side, speed in step["matmul_gflops"].items())
    console.print(f"matmul, this machine's best float32 matrix product in GFLOP/s: {speeds}")
    for name in filter(None, ("fit", step["pytorch"])):
        ratio = step["contenders"].get(name, {}).get("median_ratio")
        if ratio:
            label = _label(name, step["contenders"][name])
            console.print(f"{label}: {ratio:.2f} × the time of {step['reference']}")


def _generation(console, generation):
    side = generation["side"]
    table = _table(f"Generation of {side} × {side} pixels", "batch", "Mpx/s", "images/s")
    for batch, speed in generation["median_mpx_per_s"].items():
        spread = _spread(speed, generation["mpx_per_s"][batch], 2)
        mark = " best" if int(batch) == generation["best_batch"] else ""
        table.add_row(batch + mark, spread, f"{speed * 1e6 / side**2:.0f}")
    console.print(table)
    console.print(
        f"`generate` takes batches of {generation['default_batch']}; peak memory"
        f" {generation['peak_mb']:.0f} MB"
    )


def _startup(console, rows):
    table = _table("Whole commands", "", "s", "should be below")
    for row in rows:
        spread = _spread(row["median_seconds"], row["seconds"], 2)
        table.add_row(row["command"], spread, f"{row['limit_seconds']:g}")
    console.print(table)


def _cost(console, rows):
    columns = ("side", "batch", "ms", "GFLOP", "GFLOP/s", "peak MB", "compile s", "steps")
    backend = next((row["backend"] for row in rows if "backend" in row), "–")
    table = _table(f"A step of our loop ({backend}) by image side and batch size", *columns)
    for row in rows:
        place = (str(row["side"]), str(row["batch"]))
        if "note" in row:
            table.add_row(*place, row["note"])
            continue
        table.add_row(
            *place,
            f"{row['ms']:.1f}",
            f"{row['gflop']:.2f}",
            f"{row['gflops']:.1f}",
            f"{row['peak_mb']:.0f}",
            f"{row['compile_seconds']:.1f}",
            str(row["steps"]),
        )
    console.print(table)


def _table(title, *columns):
    table = Table(title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    return table


def _label(name, row):
    kind, _, variant = name.partition(":")
    if kind == "fit":
        return "Keras model.fit"
    if kind == "ablation":
        return f"loop, {variant.replace('_', ' ')}"
    if kind == "loop":
        return f"{name} ({row['about']['backend']})" if "about" in row and not variant else name
    return f"PyTorch, {variant} thread{'s' if variant != '1' else ''}"


def _spread(median, values, digits):
    low, high = min(values), max(values)
    return f"{median:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"
