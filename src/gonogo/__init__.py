"""gonogo takes a machine-learned model from raw events to production traffic, and keeps it there, on evidence."""

__version__ = "0.1.0"
