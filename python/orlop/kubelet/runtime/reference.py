"""Image names, as the reference grammar of the OCI distribution world has them."""

import re

from orlop.kubelet.runtime.base import ImageFailure

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*"
_DOMAIN_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_DOMAIN_LABEL}(?:\.{_DOMAIN_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"^(?P<name>(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$"
)
_ID = re.compile(r"^[a-f0-9]{64}$")
MAX_NAME_LENGTH = 255


def with_default_tag(image: str) -> str:
    """`image` with `:latest` where it has neither tag nor digest. Raises ImageFailure, reason InvalidImageName."""
    match = _REFERENCE.match(image)
    if match is None or _ID.match(image):
        raise _invalid(image, _why(image))
    if len(match["name"]) > MAX_NAME_LENGTH:
        raise _invalid(image, f"repository name must not be more than {MAX_NAME_LENGTH} characters")
    return image if match["tag"] or match["digest"] else f"{image}:latest"


def _why(image: str) -> str:
    if _ID.match(image):
        return f"cannot specify 64-byte hexadecimal strings: {image}"
    if _REFERENCE.match(image.lower()) and image != image.lower():
        return "invalid reference format: repository name must be lowercase"
    return "invalid reference format"


def _invalid(image: str, why: str) -> ImageFailure:
    return ImageFailure("InvalidImageName", f'couldn\'t parse image name "{image}": {why}')
