"""The ways to compute a training step, and which one suits this machine.

All do the same mathematics with the same weights and random numbers and differ by rounding only; benchmarks/README.md
says how fast they are.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from davegan_tf import matrix_products, networks


class Backend(NamedTuple):
    """One way to compute a training step."""

    name: str
    description: str
    xla: bool  # whether a chunk of steps is one XLA program
    switches: bool  # whether one program serves the whole training, whichever statistics are fixed or matched
    # Whether the number of steps is a constant of the program: a graphics card then need not tell the host after every
    # step whether there is another.
    counted: bool
    run_stack: Callable  # computes the layers of a network
    # Has values computed once, however often they are used.
    materialize: Callable = lambda values: values
    # Whether ``run_stack`` lets the gradient of each loss through to its own network alone, so that all go backwards
    # together.
    routed: bool = False
    # Whether ``run_stack`` takes the weights from :class:`davegan_tf.flat_weights.FlatWeights` (``values_of``).
    flat: bool = False


BACKENDS = {
    backend.name: backend
    for backend in (
        Backend("graph", "TensorFlow graph", False, False, False, networks.run_stack),
        Backend("xla", "one XLA program", True, False, True, networks.run_stack),
        Backend(
            "xla_matmul",
            "one XLA program, convolutions as matrix products",
            True,
            True,
            False,
            matrix_products.run_stack,
            matrix_products.materialize,
            routed=True,
            flat=True,
        ),
    )
}


def choose(name="auto", precision="float32"):
    """The backend of this name; ``auto``: the one that suits the devices of this process.

    On CPUs XLA is the fastest way but for its convolutions (measured); on graphics cards these are the vendor's.

    Parameters
    ----------
    name : str
        ``auto`` or a key of BACKENDS.
    precision : str
        Keras' name of a dtype policy, as the networks have it; ``xla_matmul`` knows float32 only.

    Returns
    -------
    Backend

    Raises
    ------
    ValueError
        If ``xla_matmul`` is asked for another precision.
    """
    if name == "xla_matmul" and precision != "float32":
        raise ValueError(f"The backend xla_matmul computes in float32, not in {precision}.")
    if name == "auto" and tf.config.list_logical_devices("GPU"):
        name = "xla"
    elif name == "auto":
        name = "xla_matmul" if precision == "float32" else "graph"
    return BACKENDS[name]
