"""Adam with a largest step, which a training that would run away does not exceed."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("davegan_tf")
class LimitedAdam(keras.optimizers.Adam):
    """Adam whose step changes no weight by more than ``update_limit`` learning rates.

    After gradients much larger than those that it has known, Adam's own step is (1 − β₁) / √(1 − β₂) learning rates,
    16 with β₁ = 0.5 and β₂ = 0.999, and more where they go on growing, of all weights at once. Clipped element by
    element, as in Sophia (Liu et al., 2024, arXiv:2305.14342, Algorithm 3).

    Parameters
    ----------
    learning_rate : float
    update_limit : float > 0
        In learning rates.
    **kwargs
        As ``keras.optimizers.Adam``.
    """

    def __init__(self, learning_rate=1e-3, *, update_limit=1.0, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.update_limit = update_limit

    def update_step(self, gradient, variable, learning_rate):
        most = ops.cast(learning_rate, variable.dtype) * self.update_limit
        lowest, highest = variable - most, variable + most
        super().update_step(gradient, variable, learning_rate)
        # A step within the limits stays Adam's to the last bit.
        self.assign(variable, ops.clip(variable, lowest, highest))

    def get_config(self):
        return {**super().get_config(), "update_limit": self.update_limit}
