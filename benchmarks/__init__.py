"""Measurements of speed and memory, behind `davegan benchmark`; nothing else imports this package."""
