"""The command line, `python -m cli` or `davegan`: one module per command."""
