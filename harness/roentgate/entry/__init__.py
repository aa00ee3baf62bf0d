"""The two user interfaces: the pytest plugin and the command line.

Options, hooks and fixtures for pytest, and the commands of `roentgate`.
All other rooms can be used without them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
