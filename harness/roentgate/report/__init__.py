"""Pages and pictures made from records.

Markdown, HTML and figures of scorecards, audits and claims.
This room computes no evidence.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
