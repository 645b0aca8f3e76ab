"""The parts of `ottla` for people that need no cluster: judgement, profiles, output."""

from __future__ import annotations

import json
import pathlib
import stat

import pytest

from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.main import main
from ottla.cli.people.findings import (
    FAILURE,
    OK,
    WARNING,
    BrokerSeen,
    DirectorySeen,
    Finding,
    GroupSeen,
    PartitionSeen,
    judge_brokers,
    judge_directories,
    judge_durability,
    judge_groups,
    judge_partitions,
    judge_transactions,
)
from ottla.cli.people.output import text
from ottla.cli.people.profiles import Profiles, resolve, shown


def levels(found: list[Finding]) -> dict[str, str]:
    return {each.subject: each.level for each in found}


def test_a_broker_that_sends_clients_to_themselves_is_a_failure() -> None:
    seen = [BrokerSeen(1, "localhost", 9092)]
    assert levels(judge_brokers("db1:9092", seen))["advertised addresses"] == FAILURE
    assert levels(judge_brokers("localhost:9092", seen)) == {"brokers": OK}


def test_partitions_are_judged_by_leader_and_replicas() -> None:
    seen = [
        PartitionSeen("a-0", 1, 3, 3),
        PartitionSeen("a-1", -1, 3, 0),
        PartitionSeen("a-2", 1, 3, 1, min_in_sync=2),
    ]
    assert levels(judge_partitions(seen)) == {
        "offline partitions": FAILURE,
        "too few in sync": FAILURE,
        "under-replicated partitions": WARNING,
    }
    assert set(levels(judge_partitions(seen[:1])).values()) == {OK}
    assert levels(judge_durability(3, [PartitionSeen("b-0", 1, 1, 1)])) == {"replication": WARNING}
    assert judge_durability(1, [PartitionSeen("b-0", 1, 1, 1)]) == []


@pytest.mark.parametrize(("usable", "level"), [(5, FAILURE), (15, WARNING), (50, OK)])
def test_disks_are_judged_by_what_is_free(usable: int, level: str) -> None:
    [found] = judge_directories([DirectorySeen(1, "/d", "", 100, usable)])
    assert found.level == level


def test_an_offline_directory_is_a_failure() -> None:
    [found] = judge_directories([DirectorySeen(1, "/d", "gone", -1, -1)])
    assert found.level == FAILURE


def test_groups_that_nobody_works_for_are_told_but_not_all_of_them() -> None:
    assert levels(judge_groups([GroupSeen("g", "Stable", 2, 5)])) == {"groups": OK}
    assert levels(judge_groups([GroupSeen("g", "Empty", 0, 5)])) == {"group g": WARNING}
    many = [GroupSeen(f"g{number}", "Empty", 0, number + 1) for number in range(50)]
    assert len(judge_groups(many)) == 11


def test_hanging_transactions_are_a_failure() -> None:
    assert levels(judge_transactions(["t-0 from 5"])) == {"hanging transactions": FAILURE}
    assert levels(judge_transactions([])) == {"hanging transactions": OK}


def test_profiles_are_kept_for_their_owner_only(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "deep" / "profiles.json"
    profiles = Profiles(str(path))
    profiles.all["prod"] = {"bootstrap.servers": "p:1", "sasl.password": "secret"}
    profiles.current = "prod"
    profiles.save()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Profiles(str(path))
    assert again.get(None)["bootstrap.servers"] == "p:1"
    with pytest.raises(ToolFailure, match="no profile 'x'"):
        again.get("x")
    assert shown(again.get("prod"))["sasl.password"] == "(hidden)"


@pytest.mark.parametrize("content", ["", "[]", '{"profiles": 5}', "[" * 100_000])
def test_a_broken_file_of_profiles_is_told(tmp_path: pathlib.Path, content: str) -> None:
    (tmp_path / "profiles.json").write_text(content)
    with pytest.raises(ToolFailure, match=r"can't be read|holds no profiles"):
        Profiles(str(tmp_path / "profiles.json"))


def test_the_flag_beats_the_file_beats_the_environment_beats_the_profile() -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "e:1"}
    profile, config = {"bootstrap.servers": "p:1"}, {"bootstrap.servers": "c:1"}

    def chosen(*given: object) -> str:
        return resolve(*given)["bootstrap.servers"]  # type: ignore[arg-type]

    assert chosen("f:1", config, profile, environment) == "f:1"
    assert chosen(None, config, profile, environment) == "c:1"
    assert chosen(None, {}, profile, environment) == "e:1"
    assert chosen(None, {}, profile, {}) == "p:1"
    assert chosen(None, {}, {}, {}) == "localhost:9092"


ROWS = [{"a": 1, "b": "x,y"}, {"a": None, "b": [1, 2]}]


def test_rows_for_people_and_for_programs() -> None:
    assert text(ROWS, ("a", "b"), "table") == "a  b\n1  x,y\n-  1,2\n"
    assert text(ROWS, ("a", "b"), "csv") == 'a,b\n1,"x,y"\n-,"1,2"\n'
    assert json.loads(text(ROWS, ("a", "b"), "json"))[1] == {"a": None, "b": [1, 2]}
    assert text([], ("a", "b"), "table") == "a  b\n"


def test_profile_commands(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTTLA_PROFILES", str(tmp_path / "profiles.json"))
    assert main(["profile", "use", "prod"]) == 1
    assert "there are none yet" in capsys.readouterr().err
    assert main(["profile", "set", "prod", "bootstrap.servers=p:1", "sasl.password=s"]) == 0
    assert main(["profile", "use", "prod"]) == 0
    assert main(["profile", "list", "-o", "json"]) == 0
    assert '"in use": "*"' in capsys.readouterr().out
    assert main(["profile", "show"]) == 0
    assert "(hidden)" in capsys.readouterr().out
    assert main(["profile", "delete", "prod"]) == 1
    assert "Nobody is there to say yes" in capsys.readouterr().err
    assert main(["profile", "delete", "prod", "--yes"]) == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_their_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "_OTTLA_COMPLETE" in capsys.readouterr().out


def test_every_subcommand_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    from ottla.cli.application import PEOPLE

    for name in sorted(PEOPLE):
        if name != "acls":  # passes all its words on
            assert main([name, "--help"]) == 0
            assert "Usage: ottla" in capsys.readouterr().out
