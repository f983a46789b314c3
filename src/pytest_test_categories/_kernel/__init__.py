"""The Linux kernel layer: watches native code and child processes with seccomp user notification.

The process that the user started forks. The parent becomes the supervisor, and the child continues as the test runner.
The child has a filter with which the kernel asks the supervisor about each connect, bind and addressed send of the
child and of all its descendants. Imported only if a run asks for the layer.
"""
