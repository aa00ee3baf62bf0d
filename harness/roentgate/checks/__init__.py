"""From evidence to estimates: one module a suite.

`suites/test_X.py` states the claims, `checks/X.py` holds their metrics.
No module here computes an answer of a model.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
