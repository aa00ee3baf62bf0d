from . import leakage as leakage
from . import probe_skill as probe_skill
from . import probes as probes
from . import scan as scan
from .leakage import DataRecord as DataRecord
from .near_duplicates import KINDS as KINDS
from .scan import Survey as Survey
