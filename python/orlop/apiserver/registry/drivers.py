"""Names of CSI drivers, and of drivers of devices, which are alike."""

from orlop.api.errors import FieldError, invalid_value, required, too_long
from orlop.apiserver.registry import names

MAX_DRIVER_NAME = 63


def driver_name(name: str, path: str) -> list[FieldError]:
    """What is wrong with a driver's name: ValidateCSIDriverName."""
    if not name:
        return [required(path)]
    errors = [too_long(path, MAX_DRIVER_NAME)] if len(name.encode()) > MAX_DRIVER_NAME else []
    return errors + [invalid_value(path, name, m) for m in names.subdomain(name.lower())]
