"""Work whose libraries are not to stay."""

import os
import sys
import traceback
from collections.abc import Callable


def apart(work: Callable[[], None]) -> None:
    """Does `work` in a process of its own and waits for its end. Raises RuntimeError; why is on stderr."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError("the work of a process of its own failed: the reason stands above")
