from . import attributions as attributions
from . import explainers as explainers
from . import faithfulness as faithfulness
from . import localisation as localisation
from . import sanity_check as sanity_check
