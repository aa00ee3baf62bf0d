"""Where the lungs are, and whether a mask can be trusted.

Segments or reads masks, holds each against its image, and finds burned-in annotations.
Makes the images with lungs or background changed.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
