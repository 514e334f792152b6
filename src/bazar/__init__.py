"""Next-purchase recommendation for an online store."""

__version__ = "0.1.0"
