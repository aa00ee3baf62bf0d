from . import image_matching as image_matching
from . import stream_observer as stream_observer
