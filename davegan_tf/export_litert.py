"""LiteRT (formerly TensorFlow Lite): one small file with all functions, for telephones and embedded devices."""

import tempfile

import tensorflow as tf

from davegan_tf.export import write_export
from davegan_tf.export_check import FUNCTIONS
from davegan_tf.export_savedmodel import save
from davegan_tf.recasting import recast

FILE = "model.tflite"

RUNTIME = f"""
import ai_edge_litert
from ai_edge_litert.interpreter import Interpreter
version = f"LiteRT {{ai_edge_litert.__version__}}"
interpreter = Interpreter(f"{{path}}/{FILE}")

def call(function, **inputs):
    return interpreter.get_signature_runner(function)(**inputs)
"""

USE = """\
`{file}` has the functions as signatures{quantized}. Inputs are not checked: images outside 0 … 1 give numbers, too.

```python
import numpy as np
from ai_edge_litert.interpreter import Interpreter

generate = Interpreter("{name}/{file}").get_signature_runner("generate")
z = np.random.default_rng(0).standard_normal((16, {latent_dim}), dtype=np.float32)
probabilities = generate(z=z)["probabilities"]
```
"""


def write_litert(path, model, run, step, quantize=False):
    """Write the model as a LiteRT file; arguments and errors as :func:`davegan_tf.export.write_export`.

    Parameters
    ----------
    quantize : bool
        Dynamic-range quantisation: weights of eight bits, a scale of its own for every output channel. The difference
        to the run is then measured and told, not limited.
    """
    model = recast(model, "float32")

    def fill(folder):
        (folder / FILE).write_bytes(convert(model, quantize))
        return USE.format(
            file=FILE,
            name=path.name,
            latent_dim=model.latent_dim,
            quantized=", its weights quantised to eight bits (dynamic range)" if quantize else "",
        )

    return write_export(path, model, run, step, "LiteRT", fill, RUNTIME, exact=not quantize)


def convert(model, quantize=False):
    """The bytes of a LiteRT file with the signatures encode, generate and reconstruct, any batch size.

    ``sample`` is left out: LiteRT has no such random numbers.
    """
    with tempfile.TemporaryDirectory() as folder:
        save(model, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(FUNCTIONS))
        if quantize:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        return converter.convert()
