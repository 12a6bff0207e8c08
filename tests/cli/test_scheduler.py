"""`orlop scheduler`: what of its command line and configuration is refused, and that a file is used."""

import argparse
from pathlib import Path

import pytest

from orlop.cli import scheduler, up
from orlop.cluster.settings import Settings, SettingsError

HEAD = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    scheduler.add_arguments(parser)
    return parser.parse_args(["--kubeconfig", "k", *words])


def test_a_file_says_what_names_there_are(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        HEAD + "profiles: [{schedulerName: one}, {schedulerName: two}]\nleaderElection: {leaderElect: false}\n"
    )
    settings = scheduler.configured(arguments("--config", str(file)), {})
    assert [profile.name for profile in settings.profiles] == ["one", "two"]
    assert settings.leader_election is not None
    assert not settings.leader_election.enabled


def test_without_a_file_names_are_options_and_plugins_are_enabled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "extra.py").write_text("class Extra:\n    def score(self, pod, nodes): return None\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    given = arguments("--scheduler-name", "one", "--plugin", "extra:Extra")
    plugins = scheduler.found_plugins(given)
    settings = scheduler.configured(given, {name: loaded.points for name, loaded in plugins.items()})
    assert settings.leader_election is None
    [profile] = settings.profiles
    assert (profile.name, profile.points["score"][-1]) == ("one", "Extra")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("parallelism: 0\n", "parallelism: Invalid value: 0: should be an integer value greater than zero"),
        ("profile: []\n", 'strict decoding error: unknown field "profile"'),
    ],
)
def test_what_is_wrong_with_it_is_said_before_anything_starts(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(HEAD + text)
    with pytest.raises(SettingsError, match=words.replace("[", r"\[")) as caught:
        scheduler.configured(arguments("--config", str(file)), {})
    assert str(file) in str(caught.value)
    with pytest.raises(SettingsError):
        up.check_scheduler(Settings(data_dir=tmp_path, scheduler_config=file))


def test_what_cannot_be_had(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        scheduler.configured(arguments("--config", str(tmp_path / "none")), {})
    with pytest.raises(SettingsError, match="with --config, the profiles say what names there are"):
        scheduler.configured(arguments("--config", "x", "--scheduler-name", "y"), {})
    with pytest.raises(SettingsError, match="nowhere:X: No module named 'nowhere'"):
        scheduler.found_plugins(arguments("--plugin", "nowhere:X"))
