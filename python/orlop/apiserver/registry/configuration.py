"""Rules of ConfigMaps, Secrets and ServiceAccounts."""

import msgspec

from orlop import native
from orlop.api.errors import IMMUTABLE, FieldError, forbidden_field, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver import gojson
from orlop.apiserver.registry import keypairs, names
from orlop.apiserver.registry.strategy import Strategy

MAX_BYTES = 1024 * 1024
"""Bytes of all values of a ConfigMap or Secret."""
NO_JSON = "couldn't get version/kind; json parse error: "
FROZEN = "field is immutable when `immutable` is set"


class ConfigMaps(Strategy):
    """Keys and sizes, and what `immutable` means."""

    def validate(self, obj: core_v1.ConfigMap) -> list[FieldError]:
        errors: list[FieldError] = []
        size = 0
        for key, value in sorted(obj.data.items()):
            errors += [invalid_value(f"data[{key}]", key, m) for m in names.config_key(key)]
            if key in obj.binary_data:
                errors.append(invalid_value(f"data[{key}]", key, "duplicate of key present in binaryData"))
            size += len(value.encode())
        for key, data in sorted(obj.binary_data.items()):
            errors += [invalid_value(f"binaryData[{key}]", key, m) for m in names.config_key(key)]
            size += len(data)
        if size > MAX_BYTES:
            errors.append(FieldError("FieldValueTooLong", "", None, f"may not be more than {MAX_BYTES} bytes"))
        return errors

    def validate_update(self, new: core_v1.ConfigMap, old: core_v1.ConfigMap) -> list[FieldError]:
        errors: list[FieldError] = []
        if old.immutable:
            if not new.immutable:
                errors.append(forbidden_field("immutable", FROZEN))
            if new.data != old.data:
                errors.append(forbidden_field("data", FROZEN))
            if new.binary_data != old.binary_data:
                errors.append(forbidden_field("binaryData", FROZEN))
        return errors + self.validate(new)


SERVICE_ACCOUNT_NAME = "kubernetes.io/service-account.name"
ENFORCE_SECRETS = "kubernetes.io/enforce-mountable-secrets"


class Secrets(Strategy):
    """Keys and sizes, what each type must hold, and what `immutable` means."""

    fields = (("type", "type"),)

    def default(self, obj: core_v1.Secret) -> None:
        if not obj.type:
            obj.type = "Opaque"
        for key, text in obj.string_data.items():
            obj.data[key] = text.encode()
        obj.string_data = {}

    def validate(self, obj: core_v1.Secret) -> list[FieldError]:
        errors: list[FieldError] = []
        for key in sorted(obj.data):
            errors += [invalid_value(f"data[{key}]", key, m) for m in names.config_key(key)]
        if sum(map(len, obj.data.values())) > MAX_BYTES:
            errors.append(FieldError("FieldValueTooLong", "data", None, f"may not be more than {MAX_BYTES} bytes"))
        return errors + _typed(obj)

    def validate_update(self, new: core_v1.Secret, old: core_v1.Secret) -> list[FieldError]:
        errors: list[FieldError] = []
        if new.type != old.type:
            errors.append(invalid_value("type", new.type, IMMUTABLE))
        if old.immutable:
            if not new.immutable:
                errors.append(forbidden_field("immutable", FROZEN))
            if new.data != old.data:
                errors.append(forbidden_field("data", FROZEN))
        return errors + self.validate(new)

    def warnings(self, new: core_v1.Secret, old: core_v1.Secret | None = None) -> list[str]:
        if new.type != "kubernetes.io/tls":
            return []
        wrong = keypairs.mismatch(new.data.get("tls.crt", b""), new.data.get("tls.key", b""))
        return [wrong] if wrong else []


def _typed(secret: core_v1.Secret) -> list[FieldError]:
    """What a secret of a known type must hold."""
    data = secret.data
    if secret.type == "kubernetes.io/service-account-token":
        if not secret.metadata.annotations.get(SERVICE_ACCOUNT_NAME):
            return [required(f"metadata.annotations[{SERVICE_ACCOUNT_NAME}]")]
    elif secret.type == "kubernetes.io/dockercfg":
        return _json(data, ".dockercfg")
    elif secret.type == "kubernetes.io/dockerconfigjson":
        return _json(data, ".dockerconfigjson")
    elif secret.type == "kubernetes.io/basic-auth":
        if "username" not in data and "password" not in data:
            return [required("data[username]"), required("data[password]")]
    elif secret.type == "kubernetes.io/ssh-auth":
        if not data.get("ssh-privatekey"):
            return [required("data[ssh-privatekey]")]
    elif secret.type == "kubernetes.io/tls":
        return [required(f"data[{key}]") for key in ("tls.crt", "tls.key") if key not in data]
    return []


def _json(data: dict[str, bytes], key: str) -> list[FieldError]:
    if key not in data:
        return [required(f"data[{key}]")]
    path, hidden = f"data[{key}]", "<secret contents redacted>"
    tree = None
    try:
        tree = msgspec.json.decode(data[key])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            native.wire_decode("", "json", data[key])
        except native.WireError as error:
            return [invalid_value(path, hidden, str(error).removeprefix(NO_JSON))]
    return [] if tree is None or isinstance(tree, dict) else [invalid_value(path, hidden, gojson.not_a_map(tree))]


class ServiceAccounts(Strategy):
    """An identity of pods."""

    returns_deleted = True

    def warnings(self, new: core_v1.ServiceAccount, old: core_v1.ServiceAccount | None = None) -> list[str]:
        if old is not None or ENFORCE_SECRETS not in new.metadata.annotations:
            return []
        words = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
        return [f"metadata.annotations[{ENFORCE_SECRETS}]: {words}"]
