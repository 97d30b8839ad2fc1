"""evsim: trained spiking transformers, run event by event on a CPU, every operation counted where it happens."""

__version__ = "0.1.0"
