"""ONNX: one file per function, for onnxruntime and whatever else reads the format.

The graphs are written node by node: the networks know five kinds of layer, and a converter would bring names, an opset
and a dependency of its own choice. Inside, images are channels first as ONNX has them; inputs and outputs are not.
"""

import keras
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from davegan_tf.blocked_sum import BlockedSumConv2D
from davegan_tf.export import write_export
from davegan_tf.export_check import FUNCTIONS
from davegan_tf.recasting import recast

# Of 2022; every onnxruntime since 1.12 reads them.
OPSET, IR_VERSION = 17, 8

RUNTIME = """
import onnxruntime
version = f"onnxruntime {onnxruntime.__version__}"

def call(function, **inputs):
    session = onnxruntime.InferenceSession(f"{path}/{function}.onnx", providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))
"""

USE = """\
`encode.onnx`, `generate.onnx`, `reconstruct.onnx`: a function each, opset {opset} (IR version {ir_version}). Inputs are
not checked: images outside 0 … 1 give numbers, too.

```python
import numpy as np
import onnxruntime

generate = onnxruntime.InferenceSession("{name}/generate.onnx")
z = np.random.default_rng(0).standard_normal((16, {latent_dim}), dtype=np.float32)
(probabilities,) = generate.run(["probabilities"], {{"z": z}})
```
"""


def write_onnx(path, model, run, step):
    """Write the model as ONNX files; arguments and errors as :func:`davegan_tf.export.write_export`."""
    model = recast(model, "float32")

    def fill(folder):
        for function in FUNCTIONS:
            onnx.save(onnx_model(model, function), folder / f"{function}.onnx")
        return USE.format(
            name=path.name, latent_dim=model.latent_dim, opset=OPSET, ir_version=IR_VERSION
        )

    return write_export(path, model, run, step, "ONNX", fill, RUNTIME)


def onnx_model(model, function):
    """One function of a model as ONNX, with any batch size.

    Parameters
    ----------
    model : DAVEGAN, of precision float32
    function : str
        ``encode``, ``generate`` or ``reconstruct``; names and shapes of inputs and outputs are those of the SavedModel.

    Returns
    -------
    onnx.ModelProto
    """
    graph = _Graph()
    side, channels = model.arguments["image_size"], model.arguments["channels"]
    images = _float("images", side, side, channels)
    probabilities = _float("probabilities", side, side, channels)
    z, z_mean, z_log_var = (_float(name, model.latent_dim) for name in ("z", "z_mean", "z_log_var"))
    if function == "generate":
        graph.generate(model.generator, "z")
        inputs, outputs = [z], [probabilities]
    else:
        graph.encode(model.encoder)
        inputs, outputs = [images], [z_mean, z_log_var]
    if function == "reconstruct":
        graph.generate(model.generator, "z_mean")
        outputs = [probabilities]
    whole = helper.make_graph(graph.nodes, function, inputs, outputs, graph.constants)
    opset = helper.make_opsetid("", OPSET)
    made = helper.make_model(
        whole, opset_imports=[opset], ir_version=IR_VERSION, producer_name="davegan-tf"
    )
    onnx.checker.check_model(made, full_check=True)
    return made


def _float(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])


class _Graph:
    """Nodes and constants of a graph as it grows; methods return the name of their result."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def encode(self, encoder):
        """``images`` → ``z_mean`` and ``z_log_var``."""
        features = self.node("Transpose", ["images"], "images_channels_first", perm=[0, 3, 1, 2])
        features = self.layers(encoder, features)
        shape = self.constant("features_shape", np.array([-1, 2 * encoder.latent_dim]))
        features = self.node("Reshape", [features, shape], "features")
        halves = self.constant("halves", np.array(2 * [encoder.latent_dim]))
        self.node("Split", [features, halves], "z_mean", "z_log_var", axis=1)

    def generate(self, generator, z):
        """The latent vectors of this name → ``probabilities``."""
        shape = self.constant("z_shape", np.array([-1, generator.latent_dim, 1, 1]))
        pixels = self.layers(generator, self.node("Reshape", [z, shape], "z_channels_first"))
        logits = self.node("Transpose", [pixels], "logits", perm=[0, 2, 3, 1])
        if generator.image_shape[-1] == 1:
            self.node("Sigmoid", [logits], "probabilities")
        else:
            self.node("Softmax", [logits], "probabilities", axis=-1)

    def layers(self, network, name):
        """A network's stack, behind the tensor of this name."""
        for layer in network.stack.layers:
            # The encoder's and the generator's layers have the same names.
            own = f"{network.name}_{layer.name}"
            if isinstance(layer, keras.layers.BatchNormalization):
                parts = ("gamma", "beta", "moving_mean", "moving_variance")
                weights = [
                    self.constant(f"{own}_{part}", getattr(layer, part).numpy()) for part in parts
                ]
                name = self.node("BatchNormalization", [name, *weights], own, epsilon=layer.epsilon)
            elif isinstance(layer, keras.layers.LeakyReLU):
                name = self.node("LeakyRelu", [name], own, alpha=layer.negative_slope)
            elif isinstance(layer, BlockedSumConv2D):
                name = self.blocked_sum(layer, name, own)
            else:
                name = self.convolution(layer, name, own)
        return name

    def convolution(self, layer, name, own):
        """A convolution, or transposed one, behind the tensor ``name``; the result is called ``own``."""
        # Both kinds: (height, width, in, out) → (out, in, height, width), and with in and out exchanged.
        weights = [self.constant(f"{own}_kernel", layer.kernel.numpy().transpose(3, 2, 0, 1))]
        if layer.use_bias:
            weights.append(self.constant(f"{own}_bias", layer.bias.numpy()))
        (size, _), (stride, _) = layer.kernel_size, layer.strides
        # "same" pads by size − stride in all where the stride divides the side, as it does in all tables.
        padding = (size - stride) // 2 if layer.padding == "same" else 0
        transposed = isinstance(layer, keras.layers.Conv2DTranspose)
        return self.node(
            "ConvTranspose" if transposed else "Conv",
            [name, *weights],
            own,
            strides=[stride, stride],
            pads=4 * [padding],
        )

    def blocked_sum(self, layer, name, own):
        """The same operations in the same order as :class:`BlockedSumConv2D`; its result is called ``own``.

        It has no bias: batch normalisation follows in all tables.
        """
        pixels = self.node("Transpose", [name], f"{own}_pixels", perm=[2, 3, 0, 1])
        kernel = self.constant(f"{own}_kernel", layer.kernel.numpy())
        blocks = self.node("MatMul", [pixels, kernel], f"{own}_blocks")
        axes = self.constant(f"{own}_axes", np.array([0, 1]))
        total = self.node("ReduceSum", [blocks, axes], f"{own}_sum", keepdims=0)
        shape = self.constant(f"{own}_shape", np.array([-1, layer.filters, 1, 1]))
        return self.node("Reshape", [total, shape], own)

    def constant(self, name, array):
        array = np.ascontiguousarray(array)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, kind, inputs, *outputs, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=outputs[0], **attributes))
        return outputs[0]
