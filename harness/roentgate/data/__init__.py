"""Images and where they come from.

Cards, folders and manifests are read into a `Dataset`, the canonical order of rows.
Also draws the phantom, a data set with known ground truth.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
