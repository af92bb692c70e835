"""Statistics export, byte by byte."""

from fallow.core.volunteer_statistics import HostRecord, Standing, TeamRecord, Totals, UserRecord
from fallow.protocols.boinc import statistics

STANDING = Standing(10.5, 1.25, 1_700_000_000.5)


def test_a_user() -> None:
    record = UserRecord(7, "Zoë <b>&\x07", 1_600_000_000.9, "ab" * 16, 3, STANDING)
    assert statistics.user(record) == (
        b"<user>\n"
        b"    <id>7</id>\n"
        b"    <name>Zo&#235; &lt;b&gt;&amp;</name>\n"
        b"    <country>None</country>\n"
        b"    <create_time>1600000000</create_time>\n"
        b"    <total_credit>10.500000</total_credit>\n"
        b"    <expavg_credit>1.250000</expavg_credit>\n"
        b"    <expavg_time>1700000000.500000</expavg_time>\n"
        b"    <cpid>" + b"ab" * 16 + b"</cpid>\n"
        b"    <teamid>3</teamid>\n"
        b"</user>\n"
    )


def test_who_has_no_team_has_no_teamid() -> None:
    assert b"teamid" not in statistics.user(UserRecord(7, "Z", 0.0, "", 0, STANDING))


def test_a_host() -> None:
    record = HostRecord(4, 7, "cd" * 16, 1.0, 2.0, "Linux", "GenuineIntel", "i7", 8, 4.5e9, 2**34, STANDING)
    assert statistics.host(record).decode().splitlines()[6:] == [
        "    <p_vendor>GenuineIntel</p_vendor>",
        "    <p_model>i7</p_model>",
        "    <os_name>Linux</os_name>",
        "    <create_time>1</create_time>",
        "    <rpc_time>2</rpc_time>",
        "    <ncpus>8</ncpus>",
        "    <p_fpops>4500000000.000000</p_fpops>",
        "    <m_nbytes>17179869184.000000</m_nbytes>",
        f"    <host_cpid>{'cd' * 16}</host_cpid>",
        "</host>",
    ]


def test_a_team_names_its_founder_when_that_one_is_listed() -> None:
    team = TeamRecord(3, "Owls", 7, "Zoë", 2, 5.0, STANDING)
    assert b"    <founder_name>Zo&#235;</founder_name>\n" in statistics.team(team)
    hidden = statistics.team(TeamRecord(3, "Owls", 0, "", 2, 5.0, STANDING))
    assert b"founder_name" not in hidden
    assert b"    <userid>0</userid>\n" in hidden


def test_the_tables() -> None:
    assert statistics.tables(Totals(1.9, 2, 3, 4, 12.5, "A & B")) == (
        b'<?xml version="1.0" encoding="ISO-8859-1"?>\n'
        b"<tables>\n"
        b"    <update_time>1</update_time>\n"
        b"    <nusers_total>2</nusers_total>\n"
        b"    <nteams_total>4</nteams_total>\n"
        b"    <nhosts_total>3</nhosts_total>\n"
        b"    <total_credit>12.500000</total_credit>\n"
        b"    <applications>\n"
        b"        <application>\n"
        b"            <name>fallow</name>\n"
        b"            <user_friendly_name>A &amp; B</user_friendly_name>\n"
        b"        </application>\n"
        b"    </applications>\n"
        b"</tables>\n"
    )
    assert statistics.opening("users").endswith(b"?>\n<users>\n")
    assert statistics.closing("users") == b"</users>\n"
