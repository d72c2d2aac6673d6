"""What is measured, each in a process of its own (see ``worker``).

A contender prepares itself when it is made and then has

- ``about``: dict for the report,
- ``go(count, variant)``: do ``count`` units of work (the last argument only where it has variants) and
  return once they are done.

Options every contender takes: ``config``, a name, and ``overrides``, a list of KEY=VALUE.
"""

from davegan_tf.config import load_config

MATRIX_SIDES = (1024, 2048)


def _data(options):
    """The config and its micrograph."""
    from davegan_tf.micrographs import load_from_config

    config = load_config(options["config"], options["overrides"])
    return config, load_from_config(config)


def _start_tensorflow(threads=None):
    from davegan_tf.tensorflow_setup import start_tensorflow

    start_tensorflow(threads)


class Fit:
    """Stock Keras: the model's layers and ``train_step``, ``model.fit`` on a tf.data pipeline, all at its defaults."""

    def __init__(self, variant, options):
        config, micrograph = _data(options)
        _start_tensorflow()
        import tensorflow as tf

        from davegan_tf.building import build_model
        from davegan_tf.dataset import encode_phases, tiles

        labels = tiles(micrograph.images, config.data.image_size)
        images = encode_phases(labels, micrograph.n_phases)
        data = tf.data.Dataset.from_tensor_slices(images).shuffle(len(images)).repeat()
        self.data = data.batch(config.training.batch_size, drop_remainder=True)
        self.model = build_model(config, micrograph.n_phases)
        self.about = {}
        self.go(2)

    def go(self, count):
        self.model.fit(self.data, steps_per_epoch=count, verbose=0)


class Loop:
    """Our training loop, as ``davegan train`` runs it until statistics are frozen; variants are the backends."""

    def __init__(self, variant, options):
        config, micrograph = _data(options)
        _start_tensorflow(config.training.threads)
        from benchmarks.cost import step_gflop
        from davegan_tf.building import build_model
        from davegan_tf.chunk import Chunk
        from davegan_tf.schedule import Schedule
        from davegan_tf.training import material_statistics

        model = build_model(config, micrograph.n_phases)
        self.schedule = Schedule(config, micrograph)
        if self.schedule.matches:
            # As `train` does: its program serves the end of the training, too.
            model.material_statistics = material_statistics(
                config, self.schedule, micrograph.n_phases
            )
        self.chunk = Chunk(
            model,
            self.schedule.images,
            micrograph.n_phases,
            backend=variant or config.training.backend,
            matches=self.schedule.matches,
        )
        self.chunk_steps, batch = config.training.chunk_steps, config.training.batch_size
        self.step = 0
        compile_seconds = self.chunk.compile(self.chunk_steps, batch)
        arguments = model.arguments
        shape = (arguments[key] for key in ("image_size", "channels", "latent_dim"))
        self.about = {
            "backend": self.chunk.backend.name,
            "compile_seconds": compile_seconds,
            "gflop": step_gflop(*shape, batch, arguments["discriminator_width"]),
        }
        self.go(2)

    def go(self, count):
        end = self.step + count
        while self.step < end:
            length = min(self.chunk_steps, end - self.step)
            both = (self.schedule.positions, self.schedule.real_positions)
            self.chunk.run(*(each.positions(self.step, length) for each in both))
            self.step += length


class Ablation(Loop):
    """Our training loop on CPUs without one of its ideas; variants are keys of ``benchmarks.ablation.ABLATIONS``."""

    def __init__(self, variant, options):
        _start_tensorflow()
        from benchmarks.ablation import ABLATIONS

        ABLATIONS[variant]()
        super().__init__("xla_matmul", options)
        self.about["backend"] = variant


class Torch:
    """The same step in PyTorch; variants are numbers of CPU threads. Takes ``table``, the layer table's rows."""

    def __init__(self, variant, options):
        config, micrograph = _data(options)
        import torch

        from benchmarks.pytorch_step import PyTorchStep

        torch.set_num_threads(int(variant))
        self.step = PyTorchStep(config, options["table"], micrograph)
        self.about = {"version": torch.__version__, "device": self.step.device.type}
        self.go(10)

    def go(self, count):
        self.step.run(count)


class MatrixProduct:
    """The machine's measure: float32 products of two square matrices; variants are their sides.

    Says also what the report and other contenders need to know but would need TensorFlow for: the layer table, the
    operations of a step (10⁹), versions and the machine.
    """

    def __init__(self, variant, options):
        config, micrograph = _data(options)
        _start_tensorflow()
        import tensorflow as tf

        from benchmarks.cost import step_gflop
        from davegan_tf.building import image_channels
        from davegan_tf.manifest import describe_run
        from davegan_tf.networks import layer_table

        channels = image_channels(micrograph.n_phases)
        shape = (config.data.image_size, channels, config.model.latent_dim)
        run = describe_run(config, micrograph)
        self.about = {
            "table": layer_table(*shape),
            "gflop": step_gflop(
                *shape, config.training.batch_size, config.model.discriminator_width
            ),
            "machine": run["machine"],
            "versions": run["versions"],
        }
        self.product = tf.function(tf.matmul)
        self.matrices = {side: tf.random.uniform((side, side)) for side in MATRIX_SIDES}
        for side in MATRIX_SIDES:
            self.go(2, side)

    def go(self, count, variant):
        matrix = self.matrices[int(variant)]
        for _ in range(count):
            result = self.product(matrix, matrix)
        # Waits for a graphics card; one number does not count.
        result[0, 0].numpy()


class Generation:
    """Samples of the prior as phase labels, as ``davegan generate`` makes them; variants are batch sizes."""

    def __init__(self, variant, options):
        config, micrograph = _data(options)
        _start_tensorflow()
        from davegan_tf import inference
        from davegan_tf.building import build_model

        self.inference = inference
        self.model = build_model(config, micrograph.n_phases)
        self.about = {"side": config.data.image_size, "default_batch": inference.BATCH}
        self.go(1, 1)

    def go(self, count, variant):
        self.inference.BATCH = int(variant)
        self.inference.generate_labels(self.model, count * self.inference.BATCH, seed=0)


CONTENDERS = {
    "fit": Fit,
    "loop": Loop,
    "ablation": Ablation,
    "torch": Torch,
    "matmul": MatrixProduct,
    "generation": Generation,
}


def make(name, options):
    """The contender of a name, ``KIND`` or ``KIND:VARIANT``; prepares it."""
    kind, _, variant = name.partition(":")
    return CONTENDERS[kind](variant, options)
