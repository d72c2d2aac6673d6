"""Measurements of speed and memory, behind `davegan benchmark`, and trainings for machines without TensorFlow."""
