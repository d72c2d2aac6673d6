"""TensorFlow for a command: imported without its messages, and set up."""

import os

from davegan_tf.quiet_tensorflow import import_tensorflow

KEEP_BARRIERS = "--xla_disable_hlo_passes=cse_barrier_expander"


def start_tensorflow(threads=None):
    """Import TensorFlow and set it up; call once, after arguments and configuration have been checked.

    Parameters
    ----------
    threads : int or None
        CPU threads for one operation; None: all cores. Their number changes the last bits of the results.
    """
    # XLA on CPUs drops optimization barriers before it could heed them, and then computes the feature maps of
    # davegan_tf.matrix_products anew in every operation that reads them.
    flags = os.environ.get("XLA_FLAGS", "")
    if KEEP_BARRIERS not in flags:
        os.environ["XLA_FLAGS"] = f"{KEEP_BARRIERS} {flags}".strip()
    tf = import_tensorflow()
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
