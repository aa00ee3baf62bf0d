"""What is done to the pixels of an image.

Borders, regions, corruptions, shifts and rotations, and masks that can be searched.
This room knows neither data sets nor models.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
