"""Rules of files and folders that a pod's containers see."""

from orlop.api.errors import FieldError, invalid_value, required
from orlop.api.types import core_v1

MODE_MAX = 0o777
MODE_WORDS = "must be a number between 0 and 0777 (octal), both inclusive"


def file_mode(mode: int | None, path: str) -> list[FieldError]:
    """Permission bits."""
    return [invalid_value(path, mode, MODE_WORDS)] if mode is not None and not 0 <= mode <= MODE_MAX else []


def no_back_steps(value: str, path: str) -> list[FieldError]:
    """A path without `..` parts."""
    return [invalid_value(path, value, "must not contain '..'")] if ".." in value.split("/") else []


def local_path(value: str, path: str) -> list[FieldError]:
    """A path that stays below where it is put."""
    errors = [invalid_value(path, value, "must be a relative path")] if value.startswith("/") else []
    return errors + no_back_steps(value, path)


def local_non_reserved(value: str, path: str) -> list[FieldError]:
    """The same, and it does not begin as the kubelet's own files do."""
    errors = local_path(value, path)
    if value.startswith("..") and not value.startswith("../"):
        errors.append(invalid_value(path, value, "must not start with '..'"))
    return errors


def items(listed: list[core_v1.KeyToPath], path: str) -> list[FieldError]:
    """Keys of a Secret or ConfigMap, and the files that they become."""
    errors: list[FieldError] = []
    for i, item in enumerate(listed):
        errors += key_to_path(item, f"{path}[{i}]")
    return errors


def key_to_path(item: core_v1.KeyToPath, path: str) -> list[FieldError]:
    """One key and its file."""
    errors = [] if item.key else [required(f"{path}.key")]
    if not item.path:
        errors.append(required(f"{path}.path"))
    errors += local_non_reserved(item.path, f"{path}.path")
    return errors + file_mode(item.mode, f"{path}.mode")
