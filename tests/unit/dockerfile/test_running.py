"""What instructions say of running a container, against what BuildKit's dispatcher does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from wclayer.dockerfile.parse import parse_dockerfile
from wclayer.dockerfile.running import Running
from wclayer.errors import ImageError, SpecError

PATH = r"PATH=c:\Windows\System32;c:\Windows"


def run(
    text: str,
    config: Mapping[str, Any] | None = None,
    given: Mapping[str, str] | None = None,
    arguments: Mapping[str, str] | None = None,
) -> Running:
    dockerfile = parse_dockerfile(text.encode(), "D")
    running = Running(dockerfile, config, given or {}, arguments or {})
    for instruction in dockerfile.instructions:
        running.knows[instruction.name](instruction)
    return running


def said(running: Running) -> list[str]:
    assert not any(step.layer for step in running.history)
    return [step.created_by for step in running.history]


def test_from_scratch() -> None:
    running = run("USER u")
    assert running.config == {"Env": [PATH], "WorkingDir": "\\", "User": "u"}
    assert running.env.get("path") == r"c:\Windows\System32;c:\Windows"
    assert running.directory == "\\"
    assert set(running.knows) == {
        *("ARG", "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "SHELL", "STOPSIGNAL"),
        *("USER", "VOLUME"),
    }


def test_what_the_base_has_stays() -> None:
    base = {"Env": ["A=1"], "WorkingDir": "C:\\app\\x", "Cmd": ["c"], "X": {"y": 1}, "Labels": None}
    running = run("USER u", base)
    assert running.config == {**base, "WorkingDir": "\\app\\x", "User": "u"}
    assert "WorkingDir" not in run("USER u", {}).config


@pytest.mark.parametrize(
    ("text", "env", "history"),
    [
        ("ENV A b", ["A=b"], ["ENV A=b"]),
        ("ENV A  b  c ", ["A=b  c"], ["ENV A=b  c"]),
        ("ENV A b=c", ["A=b=c"], ["ENV A=b=c"]),
        ("ENV A=b C=d", ["A=b", "C=d"], ["ENV A=b C=d"]),
        ("ENV A=\"b c\" D='e $A' F=g\\ h", ["A=b c", "D=e $A", "F=g h"], ["ENV A=b c D=e $A F=g h"]),
        ("ENV A=", ["A="], ["ENV A="]),
        ("ENV A=b=c", ["A=b=c"], ["ENV A=b=c"]),
        ("ENV A=C:\\\\x", ["A=C:\\x"], ["ENV A=C:\\x"]),
        ("# escape=`\nENV A=C:\\x", ["A=C:\\x"], ["ENV A=C:\\x"]),
        # All see what was there before the instruction.
        ("ENV A=1\nENV A=2 B=$A\nENV C=$A$B", ["A=2", "B=1", "C=21"], ["ENV A=1", "ENV A=2 B=1", "ENV C=21"]),
        # Windows' names have no case; the later spelling counts, in the place of the earlier.
        ("ENV Aa=1 B=2\nENV aA=${AA}3", ["aA=13", "B=2"], ["ENV Aa=1 B=2", "ENV aA=13"]),
        ("ENV P=a;$PATH", ["P=a;c:\\Windows\\System32;c:\\Windows"], ["ENV P=a;c:\\Windows\\System32;c:\\Windows"]),
        ("ENV $X=1 N$Y=2", None, None),
        ("ENV A=1\nENV $A=x", ["A=1", "1=x"], ["ENV A=1", "ENV 1=x"]),
    ],
)
def test_env(text: str, env: list[str] | None, history: list[str] | None) -> None:
    if env is None:
        with pytest.raises(SpecError, match="line 1: ENV without a name"):
            run(text)
        return
    running = run(text)
    assert running.config["Env"] == [PATH, *env]
    assert said(running) == history


def test_env_in_place_of_the_bases() -> None:
    base = {"Env": ["Path=C:\\x", "A=1", "B"]}
    running = run("ENV PATH=$pAtH;y\nENV A=2\nENV B=3", base)
    assert running.config["Env"] == ["PATH=C:\\x;y", "A=2", "B=3"]


def test_the_config_of_the_base_is_not_changed() -> None:
    base: dict[str, Any] = {
        "Env": ["A=1"],
        "Labels": {"a": "b"},
        "Volumes": {"v": {}},
        "ExposedPorts": {"1/tcp": {}},
        "Shell": ["s"],
        "Cmd": ["c"],
        "WorkingDir": "C:\\",
    }
    before = repr(base)
    run('ENV A=2 B=3\nLABEL x=y\nVOLUME w\nEXPOSE 2\nSHELL ["t"]\nCMD d\nENTRYPOINT e', base)
    assert repr(base) == before


@pytest.mark.parametrize(
    ("key", "value"),
    [("Env", "A=b"), ("Env", {"A": "b"}), ("Labels", []), ("Volumes", "x"), ("ExposedPorts", ["80"]), ("Shell", "cmd")],
)
def test_a_base_whose_config_is_of_another_type(key: str, value: object) -> None:
    with pytest.raises(ImageError, match=f'"{key}" in the config of the base'):
        run("ENV A=b", {key: value})


def test_a_base_whose_env_is_no_text() -> None:
    with pytest.raises(ImageError, match="Env"):
        run("ENV A=b", {"Env": [1, None]})


def test_arg() -> None:
    text = "ARG A\nARG B=2\nARG C=3 D=$B$C\nARG E\nENV X=$A-$B-$C-$D-$E"
    running = run(text, None, {"A": "a", "C": "c"}, {"E": "global", "B": "not this"})
    assert running.config["Env"] == [PATH, "X=a-2-c-2c-global"]
    assert said(running) == ["ARG A=a", "ARG B=2", "ARG C=c D=2c", "ARG E=global", "ENV X=a-2-c-2c-global"]
    assert running.used == {"A", "B", "C", "D", "E"}
    running = run("ARG A\nENV X=${A:-none}")
    assert running.config["Env"] == [PATH, "X=none"]
    assert said(running) == ["ARG A", "ENV X=none"]


def test_a_build_argument_without_an_arg_is_not_there() -> None:
    assert run("ENV X=$A", None, {"A": "a"}, {"A": "b"}).config["Env"] == [PATH, "X="]


def test_an_arg_is_not_in_the_environment() -> None:
    assert run("ARG A=1").config["Env"] == [PATH]


def test_the_target_is_there_for_who_asks() -> None:
    there = {"TARGETOS": "windows", "TARGETARCH": "arm64"}
    running = run("ENV X=$TARGETOS\nARG TARGETOS\nARG TARGETARCH\nENV Y=$TARGETOS/$TARGETARCH", None, {}, there)
    assert running.config["Env"] == [PATH, "X=", "Y=windows/arm64"]


@pytest.mark.parametrize(
    ("text", "expected", "history"),
    [
        ('CMD ["a", "b c"]', {"Cmd": ["a", "b c"], "ArgsEscaped": True}, 'CMD ["a" "b c"]'),
        ("CMD a  $b", {"Cmd": ["cmd", "/S", "/C", "a  $b"], "ArgsEscaped": True}, 'CMD ["cmd" "/S" "/C" "a  $b"]'),
        ("CMD []", {"Cmd": [], "ArgsEscaped": True}, "CMD []"),
        ("CMD [x]", {"Cmd": ["cmd", "/S", "/C", "[x]"], "ArgsEscaped": True}, 'CMD ["cmd" "/S" "/C" "[x]"]'),
        ('ENTRYPOINT ["a\\\\b"]', {"Entrypoint": ["a\\b"]}, 'ENTRYPOINT ["a\\\\b"]'),
        ("ENTRYPOINT a b", {"Entrypoint": ["cmd", "/S", "/C", "a b"]}, 'ENTRYPOINT ["cmd" "/S" "/C" "a b"]'),
        (
            'SHELL ["powershell", "-Command"]\nCMD Get-Item',
            {
                "Shell": ["powershell", "-Command"],
                "Cmd": ["powershell", "-Command", "Get-Item"],
                "ArgsEscaped": True,
            },
            'CMD ["powershell" "-Command" "Get-Item"]',
        ),
    ],
)
def test_commands(text: str, expected: dict[str, object], history: str) -> None:
    running = run(text, {})
    assert running.config == expected
    assert said(running)[-1] == history


def test_the_shell_of_the_base() -> None:
    assert run("CMD x", {"Shell": ["pwsh", "-c"]}).config["Cmd"] == ["pwsh", "-c", "x"]
    assert said(run('SHELL ["pwsh", "-c"]')) == ["SHELL [pwsh -c]"]


def test_entrypoint_and_the_cmd_before_it() -> None:
    """That of the base was meant for another entrypoint; ours is meant for this one."""
    assert "Cmd" not in run('ENTRYPOINT ["e"]', {"Cmd": ["base"]}).config
    assert run('CMD ["ours"]\nENTRYPOINT ["e"]', {"Cmd": ["base"]}).config["Cmd"] == ["ours"]
    assert run('ENTRYPOINT ["e"]\nCMD ["ours"]', {"Cmd": ["base"]}).config["Cmd"] == ["ours"]


def test_the_cmd_of_the_stage_below_is_a_bases() -> None:
    dockerfile = parse_dockerfile(b'CMD ["below"]\nENTRYPOINT ["e"]', "D")
    running = Running(dockerfile, {}, {}, {})
    running.knows["CMD"](dockerfile.instructions[0])
    above = running.copy()
    above.knows["ENTRYPOINT"](dockerfile.instructions[1])
    assert "Cmd" not in above.config
    assert running.config["Cmd"] == ["below"]
    assert [step.created_by for step in above.history] == ['CMD ["below"]', 'ENTRYPOINT ["e"]']


def test_a_copy_is_its_own() -> None:
    running = run("ENV A=1\nMAINTAINER me\nARG Z=1")
    above = running.copy()
    dockerfile = parse_dockerfile(b"ENV A=$Z$A B=2\nLABEL x=y", "D")
    for instruction in dockerfile.instructions:
        above.knows[instruction.name](instruction)
    assert running.config["Env"] == [PATH, "A=1"]
    assert "Labels" not in running.config
    assert len(running.history) == 3
    assert above.config["Env"] == [PATH, "A=11", "B=2"]
    assert above.author == "me"


def test_labels() -> None:
    running = run("LABEL b=1 \"a c\"='x y'\nLABEL b=2\nLABEL d e f", {"Labels": {"z": "1", "B": "kept"}})
    assert running.config["Labels"] == {"B": "kept", "a c": "x y", "b": "2", "d": "e f", "z": "1"}
    assert said(running) == ["LABEL b=1 a c=x y", "LABEL b=2", "LABEL d=e f"]
    assert run("ENV V=1\nLABEL v=$V").config["Labels"] == {"v": "1"}


def test_expose() -> None:
    running = run(
        "ENV P=90 Q='1 2'\nEXPOSE 80 53/udp $P/TCP 8000-8002\nEXPOSE $Q 9/sctp", {"ExposedPorts": {"1/udp": {}}}
    )
    assert set(running.config["ExposedPorts"]) == {
        *("80/tcp", "53/udp", "90/tcp", "8000/tcp", "8001/tcp", "8002/tcp", "1/tcp", "2/tcp", "9/sctp", "1/udp"),
    }
    assert all(value == {} for value in running.config["ExposedPorts"].values())
    # BuildKit sorts the words as they are written: $P comes first, 8000 behind 80.
    assert said(running)[1].startswith("EXPOSE [90/tcp 53/udp 80/tcp 8000/tcp ")
    assert (
        said(run("EXPOSE 8080 443 80 80 5000-5001"))[0] == "EXPOSE [443/tcp 5000/tcp 5001/tcp 80/tcp 80/tcp 8080/tcp]"
    )


@pytest.mark.parametrize("port", ["x", "65536", "80/icmp", "9-8", "80-", "-1", "1.5", "99999999999", ""])
def test_ports_that_are_none(port: str) -> None:
    with pytest.raises(SpecError, match=r"line 2: (a port|EXPOSE of nothing)"):
        run(f"USER u\nEXPOSE {port}")


def test_volumes_users_and_signals() -> None:
    running = run(
        'VOLUME C:/a "b"\nVOLUME ["C:\\\\x y", "z"]\nUSER ContainerUser\nSTOPSIGNAL SIGTERM\nMAINTAINER me <m@x>',
        {"Volumes": {"w": {}}},
    )
    # What stands in brackets is a word too, whose escapes are taken away, as BuildKit has it.
    assert running.config["Volumes"] == {"C:/a": {}, "C:x y": {}, "b": {}, "w": {}, "z": {}}
    assert running.config["User"] == "ContainerUser"
    assert running.config["StopSignal"] == "SIGTERM"
    assert running.author == "me <m@x>"
    assert said(running)[2:] == ["USER ContainerUser", "STOPSIGNAL SIGTERM", "MAINTAINER me <m@x>"]
    assert run("ENV U=x\nUSER $U\\\\y").config["User"] == "x\\y"
    assert run("STOPSIGNAL 3").config["StopSignal"] == "3"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HEALTHCHECK NONE", {"Test": ["NONE"]}),
        ("HEALTHCHECK CMD a  b", {"Test": ["CMD-SHELL", "a  b"]}),
        ('HEALTHCHECK CMD ["a", "b"]', {"Test": ["CMD", "a", "b"]}),
        (
            "HEALTHCHECK --interval=1m30s --timeout=1.5s --start-period=2h --start-interval=250ms --retries=3 cmd x",
            {
                "Test": ["CMD-SHELL", "x"],
                "Interval": 90 * 10**9,
                "Timeout": 15 * 10**8,
                "StartPeriod": 7200 * 10**9,
                "StartInterval": 25 * 10**7,
                "Retries": 3,
            },
        ),
    ],
)
def test_healthchecks(text: str, expected: dict[str, object]) -> None:
    assert run(text).config["Healthcheck"] == expected


@pytest.mark.parametrize(
    "text",
    [
        "HEALTHCHECK",
        "HEALTHCHECK NONE x",
        "HEALTHCHECK CMD",
        "HEALTHCHECK CMD []",
        "HEALTHCHECK x",
        "HEALTHCHECK --interval=5 CMD x",
        "HEALTHCHECK --interval=-5s CMD x",
        "HEALTHCHECK --interval=999999999h CMD x",
        "HEALTHCHECK --retries=many CMD x",
        "HEALTHCHECK --retries=-1 CMD x",
        "HEALTHCHECK --other=1 CMD x",
        "SHELL cmd",
        "SHELL []",
        "USER",
        "STOPSIGNAL",
        "STOPSIGNAL a b",
        "STOPSIGNAL $X",
        "VOLUME",
        'VOLUME ["a", ""]',
        "VOLUME $X",
        "MAINTAINER",
        "ENV",
        "LABEL",
        'ENV ""=x',
        "USER ${X",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(SpecError, match=r"^D: line 3: "):
        run(f"USER u\n\n{text}")


def test_workdir() -> None:
    dockerfile = parse_dockerfile(b"WORKDIR C:/App\nWORKDIR sub\\\\x\nWORKDIR $V\nWORKDIR ..\nWORKDIR /", "D")
    running = Running(dockerfile, None, {}, {})
    running.env.put("V", "C:\\v")
    found = [running.change_directory(one) for one in dockerfile.instructions]
    assert found == [("/App", "C:/App"), ("/App/sub/x", "sub\\x"), ("/v", "C:\\v"), ("/", ".."), ("/", "/")]
    assert running.config["WorkingDir"] == "\\"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("EXPOSE " + "1-65535 " * 300, "so many ports"),
        ("ENV B=${A//*a*a*a*b/c}", "so many wildcards"),
        ("HEALTHCHECK --retries=99999999999 CMD x", "--retries"),
    ],
)
def test_work_is_bounded(line: str, message: str) -> None:
    dockerfile = parse_dockerfile(line.encode(), "D")
    running = Running(dockerfile, None, {}, {})
    with pytest.raises(SpecError, match=message):
        running.knows[dockerfile.instructions[0].name](dockerfile.instructions[0])


def test_a_variable_that_doubles() -> None:
    dockerfile = parse_dockerfile(b"ENV A=0123456789\n" + b"ENV A=$A$A\n" * 30, "D")
    running = Running(dockerfile, None, {}, {})
    for instruction in dockerfile.instructions[:14]:
        running.knows["ENV"](instruction)
    with pytest.raises(SpecError, match="line 15: variables make this too long"):
        running.knows["ENV"](dockerfile.instructions[14])
