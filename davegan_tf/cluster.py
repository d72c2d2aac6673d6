"""The processes of a training on several machines, as the variable TF_CONFIG tells each of them.

No TensorFlow is imported here, so that a mistake is reported at once.
"""

import json
import os
from typing import NamedTuple

from davegan_tf.errors import InputError

EXAMPLE = '{"cluster": {"worker": ["host0:12345", "host1:12345"]}, "task": {"type": "worker", "index": 0}}'


class Cluster(NamedTuple):
    """All processes of a training, and which of them this is."""

    workers: int  # ≥ 1
    index: int  # 0 … workers − 1

    @property
    def chief(self):
        """Whether this process is the one that writes: worker 0."""
        return self.index == 0


def read_cluster(distribution, environment=os.environ):
    """The processes of a training.

    Parameters
    ----------
    distribution : {"none", "mirrored", "multi_worker"}
        Only with ``multi_worker`` is there more than this process.
    environment : mapping
        Holds TF_CONFIG, JSON as in EXAMPLE.

    Returns
    -------
    Cluster

    Raises
    ------
    InputError
        If TF_CONFIG is missing or says something else than EXAMPLE does.
    """
    if distribution != "multi_worker":
        return Cluster(1, 0)
    text = environment.get("TF_CONFIG", "").strip()
    if not text:
        raise _mistake("is not set")
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise _mistake(f"is not JSON ({error})") from None
    jobs = _mapping(_mapping(config, "the whole").get("cluster"), "cluster")
    if list(jobs) != ["worker"]:
        raise _mistake(
            f"must have worker as the only key of cluster, not {', '.join(jobs) or 'none'}"
        )
    workers = jobs["worker"]
    if not (isinstance(workers, list) and workers and all(map(_is_address, workers))):
        raise _mistake(
            f"must have a list of host:port as cluster.worker, not {json.dumps(workers)}"
        )
    if len(set(workers)) < len(workers):
        raise _mistake("names an address twice in cluster.worker")
    task = _mapping(config.get("task"), "task")
    if task.get("type") != "worker":
        raise _mistake(f'must have "worker" as task.type, not {json.dumps(task.get("type"))}')
    index = task.get("index")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(workers):
        raise _mistake(
            f"must have a whole number from 0 to {len(workers) - 1} (an entry of cluster.worker) as"
            f" task.index, not {json.dumps(index)}"
        )
    return Cluster(len(workers), index)


def _mistake(what):
    return InputError(
        f"TF_CONFIG {what}; training.distribution multi_worker needs this environment variable in every"
        f" process, with an index of its own, for example TF_CONFIG='{EXAMPLE}'."
    )


def _mapping(value, name):
    if not isinstance(value, dict):
        raise _mistake(f"must have an object {{…}} as {name}, not {json.dumps(value)}")
    return value


def _is_address(text):
    if not isinstance(text, str):
        return False
    host, _, port = text.rpartition(":")
    return bool(host) and port.isascii() and port.isdigit() and 0 < int(port) < 2**16
