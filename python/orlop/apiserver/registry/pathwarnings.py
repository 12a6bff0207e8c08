"""Advice on files of one volume that lie where others lie: pkg/api/pod/warnings.go."""

from collections.abc import Iterable

from orlop.api.types import core_v1
from orlop.apiserver.registry.projected import TOKEN_PROJECTION


def overlapping(volumes: Iterable[core_v1.Volume]) -> list[str]:
    """Paths that are another's, or a folder that is another's file."""
    found: list[str] = []
    for volume in volumes:
        if volume.config_map is not None:
            start = f'volume "{volume.name}" (ConfigMap "{volume.config_map.name}"): overlapping paths'
            found += _clashes([item.path for item in volume.config_map.items], start)
        if volume.secret is not None:
            start = f'volume "{volume.name}" (Secret "{volume.secret.secret_name}"): overlapping paths'
            found += _clashes([item.path for item in volume.secret.items], start)
        if volume.downward_api is not None:
            start = f'volume "{volume.name}" (DownwardAPI): overlapping paths'
            found += _clashes([item.path for item in volume.downward_api.items], start)
        if volume.projected is not None and volume.projected != TOKEN_PROJECTION:
            found += _projected(volume.name, volume.projected)
    return found


def _projected(name: str, projected: core_v1.ProjectedVolumeSource) -> list[str]:
    found: list[str] = []
    earlier: set[str] = set()
    for source in projected.sources:
        paths, what = _paths(source)
        if what is None:
            found.append(f'volume "{name}" (Projected) has no sources provided')
        if not paths:
            continue
        start = f'volume "{name}" (Projected {what}): overlapping paths'
        found += _clashes(paths, start)
        found += _clashes(sorted([*set(paths), *earlier]), start)
        earlier |= set(paths)
    return found


def _paths(source: core_v1.VolumeProjection) -> tuple[list[str], str | None]:
    """Where a source's files lie, and how it is called; no name where there is no source."""
    if source.config_map is not None:
        return [i.path for i in source.config_map.items], f'ConfigMap "{source.config_map.name}"'
    if source.secret is not None:
        return [i.path for i in source.secret.items], f'Secret "{source.secret.name}"'
    if source.downward_api is not None:
        return [i.path for i in source.downward_api.items], "DownwardAPI"
    if source.service_account_token is not None:
        return [source.service_account_token.path], "ServiceAccountToken"
    if (bundle := source.cluster_trust_bundle) is not None:
        return [bundle.path], f'ClusterTrustBundle "{bundle.name or bundle.signer_name or ""}"'
    return [], "PodCertificate" if source.pod_certificate is not None else None


def _clashes(paths: Iterable[str], start: str) -> list[str]:
    found: list[str] = []
    known: list[str] = []
    for path in paths:
        plain = path.rstrip("/")
        for other in known:
            if plain and other and (plain == other or plain.startswith(f"{other}/") or other.startswith(f"{plain}/")):
                found.append(f'{start}: "{plain}" with "{other}"')
                break
        if plain not in known:
            known.append(plain)
    return found
