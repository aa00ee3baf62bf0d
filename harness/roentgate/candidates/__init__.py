"""Models made ready to be judged.

This room finds model files, runs them behind one interface, trains them once and asks them for answers.
No other room imports a framework.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
