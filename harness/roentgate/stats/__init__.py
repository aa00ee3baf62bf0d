"""Numbers with their intervals, and verdicts on them.

Holds `Estimate`, the formulas behind its limits, what a sample size settles, and `Verdict`.
Knows neither images nor models.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
