"""All weights of a network as one vector, and those of its optimizer: a compiler then has few operations to make.

Of an update of some forty variables, most of them short, XLA would make hundreds of small kernels.
"""

import math

import keras
import tensorflow as tf

# The lengths of vectors are multiples of this, by zeros at their ends: XLA gives every thread the same number of
# elements, and where that does not come out even, it asks of each whether it is the last, and takes them one by one.
LENGTH_UNIT = 48


class FlatWeights:
    """The weights of a model's networks as vectors, which an optimizer takes for one variable each.

    What the optimizers do must be element by element, as Adam's step is. The model's own variables are what is saved
    and used: :meth:`read` them before the vectors are trained, and :meth:`write` them after.

    Parameters
    ----------
    updates : sequence of (network, optimizer, variables)
        As :meth:`davegan_tf.davegan.DAVEGAN.updates` gives them.

    Attributes
    ----------
    updates : list of (network, optimizer, [keras.Variable])
        The same, with one vector instead of the variables, (multiple of LENGTH_UNIT,), zero at its end.
    """

    def __init__(self, updates):
        self.updates, self._pairs = [], []
        for network, optimizer, variables in updates:
            size = sum(math.prod(variable.shape) for variable in variables)
            length = LENGTH_UNIT * math.ceil(size / LENGTH_UNIT)
            vector = keras.Variable(tf.zeros([length]), name="flat")
            flat = type(optimizer).from_config(optimizer.get_config())
            flat.build([vector])
            self.updates.append((network, flat, [vector]))
            self._pairs.append((vector, variables))
            self._pairs += _states(flat, optimizer)

    @tf.function(autograph=False)
    def read(self):
        """The vectors' values from the model's variables."""
        for vector, variables in self._pairs:
            parts = [tf.reshape(variable.value, [-1]) for variable in variables]
            values = tf.concat(parts, axis=0)
            missing = math.prod(vector.shape) - values.shape[0]
            vector.assign(tf.reshape(tf.pad(values, [[0, missing]]), vector.shape))

    @tf.function(autograph=False)
    def write(self):
        """The model's variables from the vectors' values."""
        for vector, variables in self._pairs:
            for variable, value in zip(variables, _split(vector, variables), strict=True):
                variable.assign(value)

    def values_of(self, variables):
        """The values of all trainable variables of a network, in their order, as parts of its vector.

        Raises
        ------
        ValueError
            If they are not a network's.
        """
        for vector, its in self._pairs:
            if [*map(id, its)] == [*map(id, variables)]:
                return _split(vector, its)
        raise ValueError("not the variables of a network that is updated")


def _split(vector, variables):
    shapes = [variable.shape for variable in variables]
    sizes = [math.prod(shape) for shape in shapes]
    values = tf.reshape(vector.value, [-1])
    *parts, _ = tf.split(values, [*sizes, values.shape[0] - sum(sizes)])
    return [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]


def _states(flat, optimizer):
    """Each variable of the flat optimizer, with those of the other that it stands for."""
    pairs = []
    for each in flat.variables:
        # "_momentum" and the like are of every weight, "iteration" and "learning_rate" of all together.
        kind = each.name.removeprefix("flat")
        pairs.append((each, [v for v in optimizer.variables if v.name.endswith(kind)]))
    return pairs
