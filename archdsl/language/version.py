"""The version of archdsl, and of the language."""

__version__ = "0.1.0"
