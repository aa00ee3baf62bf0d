"""What the data predict without a model.

Finds near-duplicates, leakage between splits, and label shortcuts by cheap probes.
Serves the data suite and the audit page.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
