"""The Linux kernel layer: native code and child processes, by seccomp user notification.

The process that was started forks. The parent stays as supervisor, the child goes on as the test runner, under a
filter by which the kernel asks the supervisor about each connect, bind and addressed send of that process and of all
its descendants. Imported only where a run asks for it.
"""
