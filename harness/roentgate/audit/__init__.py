"""What the data predict without a model.

Near-duplicates, label shortcuts that cheap probes find, and leakage between splits.
Feeds the data suite and the audit page.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
