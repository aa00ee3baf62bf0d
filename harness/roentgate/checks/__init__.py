"""Estimates computed from evidence, one module per suite.

`suites/test_X.py` states the checks, `checks/X.py` computes their estimates.
No module here runs a model.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
