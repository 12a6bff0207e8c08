"""Reading kubeconfigs as client-go does, and editing them without touching what is not ours."""

import base64
import os
import stat
from pathlib import Path

import pytest
import yaml

from orlop.client import kubeconfig
from orlop.client.kubeconfig import Entry, KubeconfigError

ENTRY = Entry(
    name="orlop",
    server="https://127.0.0.1:6443",
    ca_data=b"CA",
    client_certificate_data=b"CERT",
    client_key_data=b"KEY",
)

OTHERS = """\
apiVersion: v1
kind: Config
preferences: {}
current-context: work
clusters:
- cluster:
    certificate-authority: ca.pem
    server: https://work:443
  name: work
contexts:
- context: {cluster: work, user: me, namespace: "0123"}
  name: work
users:
- name: me
  user:
    token: 0o17
    password: 'on'
extensions:
- name: x
  extension: {a: 1.10, b: yes}
"""


def everything_but(text: str, name: str) -> dict[str, object]:
    """What there is besides the entries of that name, with every scalar as its text."""
    config = yaml.load(text, Loader=yaml.BaseLoader)
    for section in ("clusters", "contexts", "users"):
        config[section] = [e for e in config[section] if e["name"] != name]
    del config["current-context"]
    return dict(config)


def test_merge_makes_a_file_that_loads_again(tmp_path: Path) -> None:
    file = tmp_path / "new" / "config"
    assert kubeconfig.merge(ENTRY, file) == file
    settings = kubeconfig.load(file)
    assert settings.server == ENTRY.server
    assert (settings.ca_data, settings.client_certificate_data, settings.client_key_data) == (b"CA", b"CERT", b"KEY")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(file.parent) == ["config"]


def test_other_entries_keep_their_exact_values(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(OTHERS)
    kubeconfig.merge(ENTRY, file)
    assert everything_but(file.read_text(), "orlop") == everything_but(OTHERS, "orlop")
    assert yaml.safe_load(file.read_text())["current-context"] == "orlop"
    kubeconfig.merge(Entry(name="orlop", server="https://127.0.0.1:7443"), file)
    assert kubeconfig.load(file).server == "https://127.0.0.1:7443"
    assert kubeconfig.remove("orlop", file) == [file]
    assert everything_but(file.read_text(), "orlop") == everything_but(OTHERS, "orlop")
    assert yaml.safe_load(file.read_text())["current-context"] == ""


def test_merge_may_leave_the_current_context(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(OTHERS)
    kubeconfig.merge(ENTRY, file, set_current=False)
    assert yaml.safe_load(file.read_text())["current-context"] == "work"


def test_an_empty_kubeconfig_is_filled(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("apiVersion: v1\nkind: Config\nclusters: []\ncontexts: null\nusers:\n")
    kubeconfig.merge(ENTRY, file)
    assert kubeconfig.load(file).server == ENTRY.server


def test_removing_what_is_not_there_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(OTHERS)
    assert kubeconfig.remove("orlop", file) == []
    assert kubeconfig.remove("orlop", tmp_path / "none") == []
    with pytest.raises(kubeconfig.KubeconfigError, match="Is a directory"):
        kubeconfig.remove("orlop", tmp_path)
    assert file.read_text() == OTHERS


def test_of_several_files_the_first_to_say_something_wins(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    environ = {"KUBECONFIG": f"{first}:{tmp_path / 'missing'}:{second}"}
    kubeconfig.merge(Entry(name="a", server="https://a"), second)
    kubeconfig.merge(Entry(name="b", server="https://b"), first)
    assert kubeconfig.load(environ=environ).server == "https://b"
    assert kubeconfig.load(context="a", environ=environ).server == "https://a"
    # an entry is changed where it is, the current context where it counts
    assert kubeconfig.merge(Entry(name="a", server="https://a2"), environ=environ) == second
    assert kubeconfig.load(environ=environ).server == "https://a2"
    assert yaml.safe_load(first.read_text())["current-context"] == "a"
    assert kubeconfig.remove("a", environ=environ) == [first, second]


def test_the_home_folder_is_the_default(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    assert kubeconfig.merge(ENTRY, environ=environ) == tmp_path / ".kube" / "config"
    assert kubeconfig.load(environ=environ).server == ENTRY.server


def test_files_are_relative_to_the_kubeconfig_and_embedded_data_goes_before(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"FILE")
    file = tmp_path / "config"
    file.write_text(OTHERS)
    settings = kubeconfig.load(file)
    assert settings.ca_data == b"FILE"
    assert settings.namespace == "0123"
    assert settings.password == "on"
    data = base64.b64encode(b"EMBEDDED").decode()
    file.write_text(OTHERS.replace("    server:", f"    certificate-authority-data: {data}\n    server:"))
    assert kubeconfig.load(file).ca_data == b"EMBEDDED"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not valid YAML"),
        ("- a", "expected a mapping"),
        ("apiVersion: v1", "current-context is not set"),
        ("current-context: x", 'context "x" does not exist'),
        ("current-context: x\ncontexts: [{name: x, context: {cluster: c}}]", 'cluster of context "x" does not exist'),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\nclusters: [{name: c, cluster: {}}]",
            "server is not set",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(KubeconfigError, match=message) as caught:
        kubeconfig.load(file)
    assert str(file) in str(caught.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="No such file"):
        kubeconfig.load(tmp_path / "none")
    with pytest.raises(KubeconfigError, match="no kubeconfig found"):
        kubeconfig.load(environ={"HOME": str(tmp_path)})


def test_a_lock_that_stays_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubeconfig, "LOCK_TRIES", 2)
    (tmp_path / "config.lock").touch()
    with pytest.raises(KubeconfigError, match=r"config\.lock exists"):
        kubeconfig.merge(ENTRY, tmp_path / "config")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(OTHERS)
    (tmp_path / "config").symlink_to(tmp_path / "real")
    kubeconfig.merge(ENTRY, tmp_path / "config")
    assert (tmp_path / "config").is_symlink()
    assert "orlop" in (tmp_path / "real").read_text()


def test_render_is_a_kubeconfig_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "admin.conf"
    file.write_text(kubeconfig.render(ENTRY))
    assert kubeconfig.load(file).client_key_data == b"KEY"
