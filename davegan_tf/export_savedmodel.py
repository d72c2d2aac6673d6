"""SavedModel: what TensorFlow alone can load and run, from Python, C, Java or Go."""

import tensorflow as tf

from davegan_tf.export import write_export

SIGNATURES = ("encode", "generate", "reconstruct", "sample")

RUNTIME = """
import tensorflow
version = f"TensorFlow {tensorflow.__version__}"
signatures = tensorflow.saved_model.load(path).signatures

def call(function, **inputs):
    inputs = {name: tensorflow.constant(values) for name, values in inputs.items()}
    return {name: value.numpy() for name, value in signatures[function](**inputs).items()}
"""

USE = """\
It needs TensorFlow, not this package. A fourth function, `sample`, takes `seed` and `count`, () int64, draws z itself
and returns `labels`, (count, {side}, {side}) uint8. Images outside 0 … 1 and numbers that are not finite are refused.

```python
import tensorflow as tf

functions = tf.saved_model.load("{name}").signatures
labels = functions["sample"](seed=tf.constant(0, tf.int64), count=tf.constant(16, tf.int64))["labels"]
```

For C (`examples/c/generate.c` of davegan-tf), Java and Go, the tensors in the graph, tag `serve`:

{tensors}
"""


def write_savedmodel(path, model, run, step):
    """Write the model as a SavedModel; arguments and errors as :func:`davegan_tf.export.write_export`.

    Its signatures, all with any batch size (float32 unless said otherwise):

    ``encode``       images (n, side, side, channels) in [0, 1] → z_mean, z_log_var (n, latent_dim)
    ``generate``     z (n, latent_dim), N(0, 1) under the prior → probabilities (n, side, side, channels)
    ``reconstruct``  images → probabilities, the same shape
    ``sample``       seed () int64, count () int64 → labels (count, side, side) uint8
    """

    def fill(folder):
        save(model, folder)
        return USE.format(
            name=path.name, side=model.arguments["image_size"], tensors=_tensors(folder)
        )

    return write_export(path, model, run, step, "TensorFlow SavedModel", fill, RUNTIME)


def save(model, folder):
    """Save the model's functions, with checked inputs and any batch size, and the weights they need.

    Parameters
    ----------
    model : DAVEGAN
    folder : Path
    """
    module = tf.Module()
    # The variables alone: of the layers TensorFlow would save graphs of its own, and training's state with the model.
    networks = (model.encoder, model.generator)
    module.weights = [variable.value for network in networks for variable in network.variables]
    tf.saved_model.save(module, str(folder), signatures=_functions(model))


def _functions(model):
    side, channels = model.arguments["image_size"], model.arguments["channels"]
    images = tf.TensorSpec([None, side, side, channels], tf.float32, name="images")
    z = tf.TensorSpec([None, model.latent_dim], tf.float32, name="z")
    seed, count = (tf.TensorSpec([], tf.int64, name=name) for name in ("seed", "count"))

    @tf.function(input_signature=[images])
    def encode(images):
        z_mean, z_log_var = model.encode(_checked_images(images))
        return {"z_mean": z_mean, "z_log_var": z_log_var}

    @tf.function(input_signature=[z])
    def generate(z):
        finite = tf.reduce_all(tf.math.is_finite(z))
        return {"probabilities": model.generate(_checked(z, finite, "z must be finite numbers"))}

    @tf.function(input_signature=[images])
    def reconstruct(images):
        return {"probabilities": model.reconstruct(_checked_images(images))}

    @tf.function(input_signature=[seed, count])
    def sample(seed, count):
        count = _checked(count, count > 0, "count must be at least 1")
        probabilities = model.generate(model.sample_latent(tf.cast(count, tf.int32), seed))
        two_phases = probabilities.shape[-1] == 1
        labels = probabilities[..., 0] >= 0.5 if two_phases else tf.argmax(probabilities, axis=-1)
        return {"labels": tf.cast(labels, tf.uint8)}

    return dict(zip(SIGNATURES, (encode, generate, reconstruct, sample), strict=True))


def _checked(tensor, condition, message):
    with tf.control_dependencies([tf.debugging.Assert(condition, [message])]):
        return tf.identity(tensor)


def _checked_images(images):
    inside = tf.reduce_all((images >= 0.0) & (images <= 1.0))
    message = "images must be numbers from 0 to 1: phase label (two phases) or one-hot"
    return _checked(images, inside, message)


def _tensors(folder):
    """Markdown table of the names of all inputs and outputs in the saved graph."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    signatures = saved.meta_graphs[0].signature_def
    rows = ["| function | input | output |", "|---|---|---|"]
    for name in SIGNATURES:
        inputs, outputs = (
            ", ".join(f"{key}: `{side[key].name}`" for key in sorted(side))
            for side in (signatures[name].inputs, signatures[name].outputs)
        )
        rows.append(f"| {name} | {inputs} | {outputs} |")
    return "\n".join(rows)
