"""Starts one command, waits for it and prints what it cost as JSON.

Called as `python -I -S launcher.py OUTPUT ERRORS COMMAND...`; the first two are files for what the command
prints. A process starts its life with the peak memory of the one that started it, also by vfork and
posix_spawn: Linux keeps the high-water mark over exec. So commands are started from here, a process that must
stay as small as Python can be: it imports only what it needs and never the rest of the harness.
"""

import os
import sys
from time import perf_counter


def main() -> None:
    """Run the command and print its exit code, its seconds and `ru_maxrss` in the kernel's unit."""
    output_path, errors_path, *command = sys.argv[1:]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, output_path, flags, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, errors_path, flags, 0o600),
    ]
    started = perf_counter()
    process_id = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    _, status, usage = os.wait4(process_id, 0)
    wall_seconds = perf_counter() - started
    code = os.waitstatus_to_exitcode(status)
    cpu_seconds = usage.ru_utime + usage.ru_stime
    print(
        f'{{"exit_code": {code}, "wall_seconds": {wall_seconds!r}, "cpu_seconds": {cpu_seconds!r}, '
        f'"ru_maxrss": {usage.ru_maxrss}}}'
    )


main()
