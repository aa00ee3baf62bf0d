from . import aa_test as aa_test
from . import cli_claim as cli_claim
from .cli_options import DEFAULT_POLICY as DEFAULT_POLICY
from .cli_options import parser as parser
