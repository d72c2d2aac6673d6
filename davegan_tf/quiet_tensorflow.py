"""Import TensorFlow without its messages about processors and missing graphics cards."""

import contextlib
import os
import sys
import tempfile


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
