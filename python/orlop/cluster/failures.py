"""Failures that a restart cannot mend, in words that say what to do."""

import errno

from orlop.cluster.settings import SettingsError


def fatal(error: BaseException) -> str | None:
    """The message for a person; None for an error that may pass."""
    if isinstance(error, SettingsError):
        return str(error)
    if isinstance(error, PermissionError):
        return f"{error.filename or error}: permission denied; run as root, or choose a --data-dir of your own"
    if isinstance(error, OSError):
        if error.errno == errno.EADDRINUSE:
            return f"{error.strerror or error}; choose another --secure-port, or stop what uses it"
        if error.errno == errno.ENOSPC:
            return "no space left on device: make room below the data folder, then start again"
        return None
    from orlop.apiserver.audit.settings import AuditError
    from orlop.controllers import UnknownController
    from orlop.kubelet.network.base import NetworkError
    from orlop.kubelet.runtime.base import Unavailable
    from orlop.pki.folder import PkiError
    from orlop.proxy.backends.base import Unsupported
    from orlop.store.base import StoreError

    known = PkiError | NetworkError | Unavailable | StoreError | Unsupported | UnknownController | AuditError
    if isinstance(error, known):
        return str(error)
    return None
