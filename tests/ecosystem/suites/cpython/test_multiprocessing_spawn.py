"""CPython's tests of multiprocessing with the start method spawn, all in one module.

3.11.7 and 3.12.1 have them in a folder ``test/test_multiprocessing_spawn`` that is not installed; what its modules
make their tests of is.
"""

from test._test_multiprocessing import install_tests_in_module_dict

install_tests_in_module_dict(globals(), "spawn")
