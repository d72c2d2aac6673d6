"""TensorFlow imported without its messages about processors and missing graphics cards, and set up."""

import contextlib
import os
import sys
import tempfile

# What XLA does better without on CPUs. The first pass drops optimization barriers before they could be heeded, and the
# feature maps of davegan_tf.matrix_products would be computed anew in every operation that reads them. The second has
# single operations compiled as fused ones are, which takes more memory, and no less time. Graphics cards need it.
DISABLED_PASSES = "--xla_disable_hlo_passes=cse_barrier_expander,fusion-wrapper"


@contextlib.contextmanager
def _stderr_kept():
    """Keep what native code writes to stderr; show it only if the block fails."""
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(original, 2)
            kept.seek(0)
            os.write(2, kept.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


def import_tensorflow():
    """The module ``tensorflow``, which has looked for graphics cards already.

    Where it is imported already, nothing is changed; nor are environment variables that are set.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
        with _stderr_kept():
            import tensorflow as tf

            tf.config.list_physical_devices()
    return sys.modules["tensorflow"]


def start_tensorflow(threads=None):
    """Import TensorFlow and set it up; call once, after arguments and configuration have been checked.

    Parameters
    ----------
    threads : int or None
        CPU threads for one operation; None: all cores. Their number changes the last bits of the results.
    """
    tf = import_tensorflow()
    flags = os.environ.get("XLA_FLAGS", "")
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus and DISABLED_PASSES not in flags:
        os.environ["XLA_FLAGS"] = f"{DISABLED_PASSES} {flags}".strip()
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
