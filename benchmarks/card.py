"""Run what ``benchmarks.program`` exported on this machine's graphics card: needs JAX and NumPy only.

    python -m benchmarks.card FOLDER [--chunks 5] [--train]

Says whether the first chunk gives the losses it gives where the program comes from, and how long a step takes. With
``--train`` all chunks are run, in order, and FOLDER/trained.npz and trained.json (machine, logs) are written.
JAX serves as a way to XLA alone.
"""

import argparse
import gzip
import json
import os
import platform
import statistics
import time
from pathlib import Path

import numpy as np

FILES = ("program.json", "program.mlir.gz", "start.npz", "positions.npz", "expected.npz")


class Program:
    """The compiled program and the variables on the device.

    Parameters
    ----------
    folder : Path
        What ``benchmarks.program export`` wrote.
    """

    def __init__(self, folder):
        import jax

        # JAX has no public way to run a program that it did not trace (tried with JAX 0.11.2).
        from jax._src.lib import xla_client

        self.folder, self.put = folder, jax.device_put
        jax.config.update("jax_enable_x64", True)  # or integers of 64 bits are cut
        self.about = json.loads((folder / "program.json").read_text("utf-8"))
        self.device = jax.devices()[0]
        text = gzip.decompress((folder / "program.mlir.gz").read_bytes())
        devices = xla_client.DeviceList((self.device,))
        options = xla_client.CompileOptions()
        self.executable = self.device.client.compile_and_load(text, devices, options)
        self.start()

    def start(self):
        """Put the variables back to where training starts."""
        with np.load(self.folder / "start.npz") as start:
            self.arguments = [self._put(start[name]) for name in start.files]

    def _put(self, values):
        return self.put(np.asarray(values), self.device)

    def run(self, positions):
        """Train a chunk of steps, waits for the last one; means of the logs by name."""
        count = np.int32(len(positions))
        arguments = [self._put(positions), self._put(count), *self.arguments]
        results = self.executable.execute_sharded(arguments)
        arrays = [shards[0] for shards in results.disassemble_into_single_device_arrays()]
        named = dict(zip(self.about["results"], arrays, strict=True))
        logs = {name: np.asarray(named.pop(name)).item() for name in self.about["logs"]}
        # The arguments' own memory may be the results' now.
        self.arguments = [
            named.get(name, old)
            for name, old in zip(self.about["arguments"], self.arguments, strict=True)
        ]
        return logs

    def variables(self):
        """What training has changed so far, by name."""
        named = dict(zip(self.about["arguments"], self.arguments, strict=True))
        return {
            name: np.asarray(named[name])
            for name in self.about["results"]
            if name not in self.about["logs"]
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--chunks", type=int, default=5, help="to measure")
    parser.add_argument("--train", action="store_true", help="run all chunks, write trained.npz")
    given = parser.parse_args()
    if given.chunks < 1:
        parser.error("--chunks must be at least 1")

    missing = [name for name in FILES if not (given.folder / name).is_file()]
    if missing:
        parser.error(
            f"{given.folder} has no {missing[0]}; write the folder with `python -m benchmarks.program export`"
        )
    try:
        from jax import __version__ as jax_version
    except ImportError:
        parser.error("JAX is not installed; pip install jax, or 'jax[cuda13]' for an NVIDIA card")

    started = time.perf_counter()
    program = Program(given.folder)
    compilation = time.perf_counter() - started
    device = program.device.device_kind
    print(f"{device}, JAX {jax_version}: compiled in {compilation:.1f} s")
    with np.load(given.folder / "positions.npz") as file:
        positions = file["arr_0"]
    check(program, positions[0])
    program.start()
    times, history = [], []
    for each in positions if given.train else positions[: given.chunks]:
        started = time.perf_counter()
        logs = program.run(each)
        history.append(logs)
        times.append(1e3 * (time.perf_counter() - started) / len(each))
    seconds = sum(times) * positions.shape[1] / 1e3
    print(
        f"{len(times)} chunks of {positions.shape[1]} steps: {statistics.median(times):.3f} ms a step (median of the"
        f" chunks, {min(times):.3f}–{max(times):.3f}), {seconds:.1f} s in all"
    )
    print("means over the last chunk:", ", ".join(f"{k} {v:.5g}" for k, v in logs.items()))
    if given.train:
        trained = {
            "machine": {
                "system": platform.platform(),
                "python": platform.python_version(),
                "processor": device,
                "cores": os.cpu_count(),
                "devices": [device],
            },
            "versions": {"jax": jax_version},
            "seconds": {"compilation": round(compilation, 1), "steps": round(seconds, 1)},
            "logs": history,
        }
        # Weights first, each file at once or not at all: what is there belongs together.
        (given.folder / "trained.json").unlink(missing_ok=True)
        temporary = given.folder / "new.npz"
        np.savez_compressed(temporary, **program.variables())
        temporary.replace(given.folder / "trained.npz")
        temporary.write_text(json.dumps(trained, indent=1), "utf-8")
        temporary.replace(given.folder / "trained.json")


def check(program, positions):
    """Print how far a chunk is from what it gave where the program comes from."""
    logs = program.run(positions)
    for name, expected in program.about["logs"].items():
        print(f"{name:28} {logs[name]:.6g}, expected {expected:.6g}")
    found = program.variables()
    with np.load(program.folder / "expected.npz") as expected:
        kernels = [name for name in expected.files if name.endswith("/kernel")]
        worst = max(
            np.linalg.norm(found[name] - expected[name]) / np.linalg.norm(expected[name])
            for name in kernels
        )
    print(f"kernels after {len(positions)} steps: within {worst:.1e} of their norm")


if __name__ == "__main__":
    main()
