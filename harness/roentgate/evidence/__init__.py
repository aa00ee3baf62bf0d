"""Evidence on a candidate: answers, streams, layers and attributions.

Each kind is a record that the checks read. It is computed on first use and stored.
Nothing is decided here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
