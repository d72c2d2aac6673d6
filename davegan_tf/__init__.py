"""DA-VEGAN: microstructure generation and reconstruction from a single micrograph."""

__version__ = "0.1.0"
