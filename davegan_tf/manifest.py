"""What made a run: data, versions, machine."""

import os
import platform
import time
from importlib import metadata

import tensorflow as tf

PACKAGES = ("davegan-tf", "tensorflow", "keras", "numpy", "scipy")


def describe_run(config, micrograph):
    """The manifest of a new run.

    Parameters
    ----------
    config : davegan_tf.config.Config
    micrograph : davegan_tf.micrographs.Micrograph

    Returns
    -------
    dict, JSON-ready
    """
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "seed": config.seed,
        "data": {
            "name": micrograph.name,
            "origin": micrograph.origin,
            "digest": micrograph.digest,
            "segmentation": micrograph.segmentation,
            "n_phases": micrograph.n_phases,
            "shape": list(micrograph.images.shape),
            "stands_in_for": micrograph.fallback_for,
        },
        "versions": versions,
        "machine": {
            "system": platform.platform(),
            "python": platform.python_version(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "devices": [d.device_type for d in tf.config.list_physical_devices()],
        },
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "finished": False,
    }


def _processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            return next(line.split(":", 1)[1].strip() for line in info if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
