"""The acceptance criteria: every bound, in one reviewable file.

Reads the policy, gives each suite its table, and says which suites are optional.
Decides nothing itself.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
