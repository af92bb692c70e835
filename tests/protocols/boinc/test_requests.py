"""Scheduler calls of a real client, against a strict reader of the same bytes; then what no client should send."""

from xml.etree import ElementTree

import pytest

from fallow.protocols.boinc.messages import ClientCoprocessor, ClientFile, HostInfo, Preferences, SchedulerRequest
from fallow.protocols.boinc.request import STDERR_CHARS_MAX, parse_request
from fallow.protocols.boinc.xml import Unreadable
from tests.protocols.boinc.recordings import RECORDED, WHOLE_CALLS, call

KEY_LINES = 10


def made(inner: str | bytes) -> SchedulerRequest:
    content = inner.encode() if isinstance(inner, str) else inner
    return parse_request(b"<scheduler_request>" + content + b"</scheduler_request>")


def said(root: ElementTree.Element, path: str) -> str:
    return (root.findtext(path) or "").strip()


def number(root: ElementTree.Element, path: str) -> float:
    return float(said(root, path) or 0)


def stderr_of(result: ElementTree.Element) -> str:
    """By plain text operations on what the strict reader gives for the CDATA."""
    text = "".join((result.find("stderr_out") or ElementTree.Element("x")).itertext())
    message = text.split("<message>")[1].split("</message>")[0].strip() if "<message>" in text else ""
    written = text.split("<stderr_txt>")[1].split("</stderr_txt>")[0].strip() if "<stderr_txt>" in text else ""
    return "\n".join(each for each in (message, written) if each)


@pytest.mark.parametrize("name", WHOLE_CALLS)
def test_a_recorded_call_says_what_a_strict_reader_finds_in_it(name: str) -> None:
    root, request = ElementTree.fromstring(call(name)), parse_request(call(name))
    assert request.authenticator == said(root, "authenticator")
    assert (request.host_id, request.rpc_seqno) == (number(root, "hostid"), number(root, "rpc_seqno"))
    assert request.client_version == (
        number(root, "core_client_major_version"),
        number(root, "core_client_minor_version"),
        number(root, "core_client_release"),
    )
    others = [each.text for each in root.findall("alt_platform/name")]
    assert list(request.platforms) == [said(root, "platform_name"), *others]
    assert (request.allow_multiple_clients, request.client_cap_plan_class) == (True, True)
    assert not request.dont_send_work
    assert not request.dont_use_docker
    assert request.wanted_seconds == number(root, "cpu_req_secs")
    assert request.wanted_instances == number(root, "cpu_req_instances")
    assert request.estimated_delay_seconds == number(root, "estimated_delay")
    assert request.said_code_sign_key == said(root, "code_sign_key")
    assert request.cross_project_id == said(root, "cross_project_id")
    assert (request.venue, request.worker_label) == ("", "")
    assert request.on_fraction == number(root, "time_stats/on_frac")
    assert request.active_fraction == number(root, "time_stats/active_frac")
    assert request.client_time == number(root, "time_stats/now")
    assert request.project_disk_bytes == number(root, "disk_usage/d_project_share")
    held = root.find("other_results")
    assert request.held == (None if held is None else tuple(said(each, "name") for each in held))
    assert request.sticky_files == ()


@pytest.mark.parametrize("name", WHOLE_CALLS)
def test_a_recorded_machine_is_the_one_that_a_strict_reader_finds(name: str) -> None:
    root, host = ElementTree.fromstring(call(name)), parse_request(call(name)).host
    assert host == HostInfo(
        cpid=said(root, "host_info/host_cpid"),
        name="vm",
        address="127.0.0.1",
        timezone=0,
        cores=2,
        vendor="AuthenticAMD",
        model="AMD EPYC [Family 25 Model 1 Stepping 1]",
        features=said(root, "host_info/p_features"),
        flops=number(root, "host_info/p_fpops"),
        memory_bytes=number(root, "host_info/m_nbytes"),
        disk_total_bytes=number(root, "host_info/d_total"),
        disk_free_bytes=number(root, "host_info/d_free"),
        os_name="Linux Debian",
        os_version=said(root, "host_info/os_version"),
    )
    assert host.features.startswith("fpu vme")
    assert parse_request(call(name)).preferences == Preferences(1.0, 0.9, 10 * 2**30)


@pytest.mark.parametrize("name", WHOLE_CALLS)
def test_recorded_results_are_those_that_a_strict_reader_finds(name: str) -> None:
    root, request = ElementTree.fromstring(call(name)), parse_request(call(name))
    assert len(request.results) == len(root.findall("result"))
    for found, result in zip(root.findall("result"), request.results, strict=True):
        assert result.name == said(found, "name")
        assert (result.exit_status, result.client_state) == (number(found, "exit_status"), number(found, "state"))
        assert result.elapsed_seconds == number(found, "final_elapsed_time")
        assert result.cpu_seconds == number(found, "final_cpu_time")
        assert result.stderr == stderr_of(found)
        assert result.files == tuple(
            ClientFile(
                said(each, "name"), int(number(each, "nbytes")), said(each, "md5_cksum"), said(each, "error_msg")
            )
            for each in found.findall("file_info")
        )


def test_the_recordings_show_each_kind_of_report() -> None:
    """So that the comparison above compares something."""
    results = [each for name in WHOLE_CALLS for each in parse_request(call(name)).results]
    assert {(each.client_state, each.exit_status) for each in results} == {(5, 0), (3, -226), (1, -186)}
    assert any(file.error == "permanent upload error" for each in results for file in each.files)
    assert any(each.stderr.startswith("too many exit(0)s\nargv:") for each in results)
    assert any("-120 (RSA key check failed for file)" in each.stderr for each in results)
    assert max(len(parse_request(call(name)).held or ()) for name in WHOLE_CALLS) == 10
    first = parse_request(call("a_003"))
    assert (first.host_id, first.rpc_seqno, first.said_code_sign_key, first.held) == (0, 0, "", ())
    assert len(parse_request(call("a_135")).said_code_sign_key.splitlines()) == KEY_LINES


def test_the_request_that_a_client_keeps_on_disk_is_read_too() -> None:
    request = parse_request((RECORDED / "kept.request.xml").read_bytes())
    assert (request.host_id, request.held) == (1, ())


@pytest.mark.parametrize("name", ["a_003", "a_135", "a_171", "a_174"])
def test_half_a_call_is_refused_wherever_it_breaks_off(name: str) -> None:
    """Half a list of what a client holds would make the rest look lost."""
    whole = call(name).rstrip()
    for end in range(len(whole)):
        with pytest.raises(Unreadable):
            parse_request(whole[:end])
    assert parse_request(whole) == parse_request(call(name))


@pytest.mark.parametrize("name", ["a_003", "a_171"])
def test_a_call_that_lacks_its_beginning_is_refused_or_read(name: str) -> None:
    whole = call(name)
    tag = len(b"<scheduler_request>")
    for start in range(1, len(whole), 7):
        with pytest.raises(Unreadable, match="There is no <scheduler_request>"):
            parse_request(whole[start:])
    assert parse_request(b"<?xml?>\n junk < & > " + whole) == parse_request(whole)
    assert parse_request(whole[:tag] + b"<unknown><hostid>7</hostid></unknown>" + whole[tag:]) == parse_request(whole)


def test_nonsense_is_refused_with_a_sentence() -> None:
    with pytest.raises(Unreadable, match=r"^There is no <scheduler_request>\.$"):
        parse_request(call("c_009"))
    with pytest.raises(Unreadable, match="no end"):
        parse_request(b"<scheduler_request> <!-- </scheduler_request>")


def test_an_empty_call_has_the_defaults() -> None:
    assert made("") == SchedulerRequest()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0.0),
        ("abc", 0.0),
        ("nan", 0.0),
        ("-inf", 0.0),
        ("inf", 1e9),
        ("1e400", 1e9),
        ("-5", 0.0),
        (" 12.5\n", 12.5),
        ("1e3", 1000.0),
        ("9" * 100, 0.0),
        ("0x10", 0.0),
    ],
)
def test_garbled_numbers_are_bounded(text: str, expected: float) -> None:
    assert made(f"<cpu_req_secs>{text}</cpu_req_secs>").wanted_seconds == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), ("-1", 0), ("x", 0), ("7", 7), ("7.9", 7), ("nan", 0), ("inf", 2**53), ("1" * 30, 2**53)],
)
def test_garbled_counts_are_bounded(text: str, expected: int) -> None:
    request = made(f"<hostid>{text}</hostid><rpc_seqno>{text}</rpc_seqno>")
    assert (request.host_id, request.rpc_seqno) == (expected, expected)


@pytest.mark.parametrize(("text", "expected"), [("-1.0", 1.0), ("0.25", 0.25), ("7", 1.0), ("x", 1.0), ("0", 0.0)])
def test_shares_of_time_are_shares(text: str, expected: float) -> None:
    assert made(f"<time_stats><on_frac>{text}</on_frac></time_stats>").on_fraction == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("<x/>", True), ("<x>1</x>", True), ("<x>0</x>", False), ("<x>no</x>", False), ("", False)]
)
def test_flags(text: str, expected: bool) -> None:
    request = made(text.replace("x", "dont_use_docker") + text.replace("x", "dont_send_work"))
    assert (request.dont_use_docker, request.dont_send_work) == (expected, expected)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("Zoë".encode(), "Zoë"),
        ("Zoë".encode("latin-1"), "Zoë"),
        (b"Zo&#195;&#171;", "Zoë"),  # as BOINC writes it: each byte by itself
        (b"Zo&#235;", "Zoë"),
        (b"Zo&#195;&#171; & Ana\xc3\xafs", "Zoë & Anaïs"),
        (b"&#20013;&#x6587;", "中文"),
        (b"Zo&#xEB;", "Zoë"),
        (b"a&amp;lt;b", "a&lt;b"),
        (b"a & b &unknown; &#; &#xG;", "a & b &unknown; &#; &#xG;"),
        (b"a&#0;b&#7;\x00\x1f&#xD800;&#x110000;", "ab&#x110000;"),
        (b"  spaced\t ", "spaced"),
        (b"<![CDATA[a &amp; <b>]]>", "a &amp; <b>"),
        (b"n" * 1000, "n" * 255),
    ],
)
def test_names_in_every_spelling(raw: bytes, expected: str) -> None:
    assert made(b"<host_info><domain_name>" + raw + b"</domain_name></host_info>").host.name == expected


def test_comments_attributes_and_empty_elements() -> None:
    request = made('<!-- <hostid>1</hostid> --><hostid x="y">2</hostid ><p/><rpc_seqno >3</rpc_seqno><other_results />')
    assert (request.host_id, request.rpc_seqno, request.held) == (2, 3, ())


def test_what_a_program_wrote_is_not_read_as_a_report() -> None:
    """CDATA may hold any tags, those of the call itself too."""
    evil = "</stderr_txt></stderr_out></result><result><name>other</name></result></scheduler_request>"
    request = made(
        f"<result><name>mine</name><stderr_out><![CDATA[<stderr_txt>\n{evil}\n&amp; <message>no</message>\n"
        "</stderr_txt>]]></stderr_out><exit_status>1</exit_status></result>"
    )
    assert [(each.name, each.exit_status) for each in request.results] == [("mine", 1)]
    assert request.results[0].stderr == f"{evil}\n&amp; <message>no</message>"


def test_what_a_client_does_to_a_programs_last_words() -> None:
    """As Debian's 7.20.5 sends them: bytes above 127 become references, also in CDATA; "&" and "<" stay."""
    request = made(
        "<result><exit_status>1</exit_status><state>3</state><stderr_out>\n<core_client_version>7.20.5"
        "</core_client_version>\n<![CDATA[\n<message>\nprocess exited with code 1 (0x1, -255)</message>\n<stderr_txt>\n"
        'fallow-failure {"a":"x & <y> &#195;&#169; &amp; &#60;"}\n\n</stderr_txt>\n]]>\n</stderr_out></result>'
    )
    assert request.results[0].stderr == (
        'process exited with code 1 (0x1, -255)\nfallow-failure {"a":"x & <y> é &amp; &#60;"}'
    )


def test_stderr_without_cdata_has_its_entities_resolved() -> None:
    request = made("<result><stderr_out><stderr_txt>a &lt;b&gt; &amp;amp;</stderr_txt></stderr_out></result>")
    assert request.results[0].stderr == "a <b> &amp;"
    assert made("<result><stderr_out>plain &lt;</stderr_out></result>").results[0].stderr == "plain <"


def test_of_a_long_stderr_the_end_is_kept() -> None:
    written = "x" * (2 * STDERR_CHARS_MAX) + "\nlast words"
    request = made(f"<result><stderr_out><![CDATA[<stderr_txt>{written}</stderr_txt>]]></stderr_out></result>")
    assert request.results[0].stderr == written[-STDERR_CHARS_MAX:]


@pytest.mark.parametrize("offset", range(4))
def test_a_very_long_stderr_is_not_cut_within_a_character(offset: int) -> None:
    written = "😀" * (4 * STDERR_CHARS_MAX) + "x" * offset
    request = made(f"<result><stderr_out><![CDATA[<stderr_txt>{written}</stderr_txt>]]></stderr_out></result>")
    assert request.results[0].stderr == written[-STDERR_CHARS_MAX:]


def test_checksums_are_checksums_or_nothing() -> None:
    digest = "ABCDEF0123456789" * 2
    request = made(
        f"<result><file_info><name>a</name><md5_cksum>{digest}</md5_cksum><nbytes>1e3</nbytes></file_info>"
        "<file_info><name>b</name><md5_cksum>../../etc</md5_cksum><nbytes>-4</nbytes></file_info></result>"
    )
    assert request.results[0].files == (ClientFile("a", 1000, digest.lower()), ClientFile("b", 0, ""))


def test_accelerators_of_each_kind() -> None:
    request = made("""<coprocs>
      <coproc_cuda><count>2</count><name>NVIDIA GeForce RTX 3090</name><available_ram>1</available_ram>
        <req_secs>34560.0</req_secs><req_instances>1.5</req_instances><totalGlobalMem>25438126080.0</totalGlobalMem>
        <coproc_opencl><name>not this</name><global_mem_size>3</global_mem_size></coproc_opencl></coproc_cuda>
      <coproc_ati><count>1</count><name>gfx90a</name><localRAM>65520</localRAM></coproc_ati>
      <coproc_intel_gpu><count>1</count><name>Intel UHD 770</name>
        <coproc_opencl><global_mem_size>13000000000</global_mem_size></coproc_opencl></coproc_intel_gpu>
      <coproc_apple_gpu><count>1</count><name>Apple M1</name>
        <available_ram>5726623744</available_ram></coproc_apple_gpu>
      <coproc><type>npu</type><count>4</count></coproc>
      <coproc_odd><count>9</count></coproc_odd></coprocs>""")
    assert request.host.coprocessors == (
        ClientCoprocessor("NVIDIA", "NVIDIA GeForce RTX 3090", 2, 25438126080, 34560.0, 1.5),
        ClientCoprocessor("ATI", "gfx90a", 1, 65520 * 2**20, 0.0, 0.0),
        ClientCoprocessor("intel_gpu", "Intel UHD 770", 1, 13_000_000_000, 0.0, 0.0),
        ClientCoprocessor("apple_gpu", "Apple M1", 1, 5726623744, 0.0, 0.0),
        ClientCoprocessor("npu", "", 4, 0, 0.0, 0.0),
    )


def test_what_newer_clients_add() -> None:
    request = made(
        "<dont_use_docker>1</dont_use_docker><worker_label>edge</worker_label><host_venue>work</host_venue>"
        "<alt_platform><name>i686-pc-linux-gnu</name></alt_platform><platform_name>x86_64-pc-linux-gnu</platform_name>"
        "<host_info><docker_version>podman version 5.4.2</docker_version><docker_type>2</docker_type></host_info>"
        "<file_info><name>kept</name><nbytes>5</nbytes><status>1</status></file_info>"
        "<file_info><name>half</name><nbytes>5</nbytes><status>0</status></file_info>"
        "<wsl><distro><name>Ubuntu</name></distro></wsl>"
    )
    assert (request.dont_use_docker, request.worker_label, request.venue) == (True, "edge", "work")
    assert request.platforms == ("x86_64-pc-linux-gnu", "i686-pc-linux-gnu")
    assert (request.host.docker_version, request.host.docker_type) == ("podman version 5.4.2", 2)
    assert request.sticky_files == ("kept",)


def test_the_limits_in_force_count_before_those_that_were_set() -> None:
    request = made(
        "<global_preferences><max_ncpus_pct>10</max_ncpus_pct><venue>home</venue></global_preferences>"
        "<working_global_preferences><global_preferences><max_ncpus_pct>50.0</max_ncpus_pct>"
        "<ram_max_used_idle_pct>0</ram_max_used_idle_pct><disk_max_used_gb>2</disk_max_used_gb><venue>school</venue>"
        "</global_preferences></working_global_preferences>"
    )
    assert request.preferences == Preferences(0.5, 0.9, 2 * 2**30, "school")
    assert request.venue == "school"
    old = made("<global_preferences><max_ncpus_pct>10</max_ncpus_pct><venue>home</venue></global_preferences>")
    assert (old.preferences.cores_fraction, old.venue) == (0.1, "home")


def test_lists_that_go_on_and_on_are_cut() -> None:
    platforms = "".join(f"<alt_platform><name>p{n}</name></alt_platform>" for n in range(1000))
    coprocessors = "<coproc><type>npu</type></coproc>" * 1000
    request = made(f"{platforms}<coprocs>{coprocessors}</coprocs>")
    assert request.platforms == tuple(f"p{n}" for n in range(16))
    assert len(request.host.coprocessors) == 64
