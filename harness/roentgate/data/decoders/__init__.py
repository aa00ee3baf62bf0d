"""Image decoders: one interface, and one file for each library.

A module in this folder that lists ``DECODERS`` is found at run time. Nothing else has to name it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
