"""What a candidate did on rows: computed on first use, stored, never twice.

Answers, streams, layers and attributions, each as a record that the checks read.
Decides nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
