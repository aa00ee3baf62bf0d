"""Roentgate: acceptance tests for medical image classifiers.

Suites and model files import from here only. Names are looked up on first use, so that the import is fast.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
