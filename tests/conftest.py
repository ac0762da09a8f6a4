"""For all tests: numpy keeps to one thread, as in the processes of Meliora. Its matrices are small, and several tests run at once."""

import os

from meliora.supervisor.child import THREADS

for threads in THREADS:
    os.environ.setdefault(threads, "1")
