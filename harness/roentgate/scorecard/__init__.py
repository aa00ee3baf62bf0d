"""The record of a run, its wording and the ledger.

Builds, validates and reads `scorecard.json`, and counts the test-set evaluations.
Draws nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
