"""Where the lungs are, and whether a mask can be trusted.

This room segments or reads masks, compares each with its image, and finds burned-in annotations.
It also makes the images with changed lungs or background.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
