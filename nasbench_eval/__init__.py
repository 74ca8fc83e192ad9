"""nbeval's library: the NAS-Bench-201 cell space, its benchmark table, weight-sharing searches and their analysis."""

import logging

__version__ = "0.1.0"

# Messages for users of the library go to the logger "nbeval", which is silent until they configure logging.
logging.getLogger("nbeval").addHandler(logging.NullHandler())
