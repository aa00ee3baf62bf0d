"""The two doors to the outside: pytest and the command line.

Options, hooks and fixtures, and the commands of `roentgate`.
Everything below can be used without them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
