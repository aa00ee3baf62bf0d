"""One run: what is judged, on what, under which policy.

Settings, candidates, evidence and reference of a run, and suites run without pytest.
Knows neither pytest nor pages.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
