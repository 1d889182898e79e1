"""What a recipe of a stranger cannot do over the network, and what a server cannot do to a run."""

from __future__ import annotations

import gzip
import io
import logging
import time
from urllib.parse import urlsplit

import httpx2
import pytest
import tiny_endpoint
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from pyarrow.parquet import read_table
from realism import Chat, RealismError
from realism.base.permissions import VENDORS, allow, on_this_machine, origin, refusal
from realism.data.types import Picture, Prompt
from realism_generators.endpoint import Endpoint
from realism_rewards import vila
from realism_rewards.vila import Vila
from tiny_endpoint import dripping, hostile, replying

ROSE = Chat("a red rose")
KEY = "sk-the-secret-itself"


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("REALISM_TEST_KEY", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "LAB_KEY"):
        monkeypatch.setenv(name, KEY)
    allow([])
    yield
    allow([])


@pytest.fixture
def server():
    with tiny_endpoint.serving() as server:
        yield server


def told(error) -> str:
    """All that an error can show."""
    return f"{error.value} {error.value!r} {error.value.__cause__!r}"


@pytest.mark.parametrize("key", ["AWS_SECRET_ACCESS_KEY", "LAB_KEY", "OPENAI_API_KEY", "PATH", "HOME", "HF_TOKEN"])
def test_no_other_variable_is_sent_whatever_the_recipe_says(server, key, monkeypatch):
    monkeypatch.setenv(key, KEY)
    part = Endpoint(server.url, "tiny", key=key)
    assert part.options_error()
    with pytest.raises(RealismError, match=f"--allow {key}@{server.url.removesuffix('/v1')}") as error:
        part.reply([ROSE])
    assert not server.requests and KEY not in told(error)


def test_the_variables_of_realism_are_sent(server):
    Endpoint(server.url, "tiny", key="REALISM_TEST_KEY").reply([ROSE])
    assert server.requests[0]["key"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", sorted(VENDORS))
def test_the_key_of_a_vendor_goes_to_the_vendor_alone(key, monkeypatch):
    monkeypatch.setenv(key, KEY)
    home = VENDORS[key]
    assert refusal("url", f"{home}/v1", key) is None
    host = home.removeprefix("https://")
    for other in (
        f"http://{host}/v1", f"https://{host}:8443/v1", f"https://{host}.evil.com/v1", f"https://evil-{host}/v1",
        f"https://evil.com/{host}", f"https://x.{host}/v1", "http://localhost:8000/v1",
    ):  # fmt: skip
        said = refusal("url", other, key)
        assert (
            said == f"key: '{key}' is sent to {home} alone, unless the command line has --allow {key}@{origin(other)}"
        )


@pytest.mark.parametrize(
    "address",
    [
        "http://10.0.0.5:8000/v1", "http://evil.com/v1", "http://localhost.evil.com/v1", "http://127.0.0.1.evil.com/v1",
        "http://0.0.0.0:8000/v1", "http://169.254.169.254/latest", "http://[fe80::1]/v1", "http://[::]/v1",
        "http://localhost_/v1", "http://128.0.0.1/v1", "http://my_server:8000/v1",
    ],
)  # fmt: skip
def test_without_encryption_only_this_machine_is_reached(address):
    place = origin(address)
    assert (refusal("url", address) or "").endswith(f"allow it on the command line: --allow {place}")
    assert refusal("endpoint", address.replace("http:", "https:")) is None
    allow([place])
    assert refusal("url", address) is None
    assert refusal("url", "http://10.0.0.6/v1")
    assert refusal("url", address, "LAB_KEY"), "an address that is allowed is not sent any key"


@pytest.mark.parametrize(
    "address", ["http://localhost:8000/v1", "http://127.0.0.1/v1", "http://127.9.9.9:1/v1", "http://[::1]:8/v1/",
                "http://LOCALHOST:8000", "https://llm.example.org/v1/a_b/c-d", "https://xn--bcher-kva.example:444/v1"],
)  # fmt: skip
def test_plain_addresses_are_reached(address):
    assert refusal("url", address) is None


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost@evil.com/v1", "http://me:secret@localhost/v1", "http://localhost:80@evil.com/v1",
        "http://127.0.0.1\\@evil.com/v1", "http://localhost%2eevil.com/v1", "http://localhost%00.evil.com/v1",
        "http://localhost./v1", "http://127.0.0.1./v1", "http://2130706433/v1", "http://0x7f000001/v1", "http://127.1/v1",
        "http://0177.0.0.1/v1", "http://127.0.0.0x1/v1", "http://127.0.0.256/v1", "http://[::ffff:7f00:1%25lo]/v1",
        "http://[127.0.0.1]/v1", "http://::1/v1", "http://ⓛocalhost/v1", "http://１２７.0.0.1/v1", "http://bücher.de/v1",
        "http://localhost:99999/v1", "http://localhost:0/v1", "http://localhost:/v1", "http://localhost: 80/v1",
        "https://api.openai.com/v1?key=x", "https://api.openai.com/v1#x", "https://api.openai.com/../v1",
        "https://api.openai.com//evil.com", "https://api.openai.com/%2e%2e/v1", "https://api.openai.com/v1\r\nHost: x",
        "https://api.openai.com/v1\n", " https://api.openai.com/v1", "https://api.openai.com\t/v1", "https:/evil.com",
        "//evil.com", "https://", "https://-a.com", "https://a..com", "ftp://evil.com/v1", "file:///etc/passwd",
        "unix:///var/run/docker.sock", "HTTPS\u017f://evil.com", "",
    ],
)  # fmt: skip
def test_addresses_that_may_be_read_in_two_ways_are_refused(address):
    said = refusal("url", address) or ""
    assert said.startswith("url is not one such as http://localhost:8000/v1") and "secret" not in said
    with pytest.raises(RealismError, match="expected where something may be sent"):
        allow([address])
    with pytest.raises(RealismError):
        Endpoint(address, "tiny").reply([ROSE])


@given(st.lists(st.sampled_from([*"aA1.-_:/@[]%\\?# \t\n", "http://", "https://", "localhost", "127.0.0.1", "::1",
                                 "0x7f", "evil.com", "。", "１"]), max_size=8).map("".join))  # fmt: skip
@example("http://[::1]:80/")
@example("https://A.b:443/v1")
def test_an_address_leads_where_the_rule_says_whoever_reads_it(address):
    place = origin(address)
    if place:
        seen = httpx2.URL(address)
        host = place.partition("://")[2].strip("[]")
        assert seen.host in host and (urlsplit(address).hostname or "") in host
        assert not seen.userinfo and not seen.query and origin(str(seen)) == place
        if on_this_machine(place):
            assert seen.host in ("localhost", "127.0.0.1", "::1")


@pytest.mark.parametrize(
    "permit", ["", "*", "LAB_KEY", "LAB_KEY@", "@https://a.org", "LAB_KEY@a.org", "https://a.org/v1", "https://a.org/",
               "A B@https://a.org", "*@https://a.org", "LAB_KEY@https://*.a.org", "A@B@https://a.org"],
)  # fmt: skip
def test_what_the_command_line_allows_is_told_exactly(permit):
    with pytest.raises(RealismError, match=r"--allow .* expected where something may be sent, such as http://10"):
        allow([permit])


def test_what_is_allowed_holds_for_that_variable_and_that_place_alone(server):
    place = server.url.removesuffix("/v1")
    allow([f"LAB_KEY@{place}", "OPENAI_API_KEY@http://10.0.0.5:8000"])
    Endpoint(server.url, "tiny", key="LAB_KEY").reply([ROSE])
    assert server.requests[0]["key"] == f"Bearer {KEY}"
    assert refusal("url", "http://10.0.0.5:8000/v1", "OPENAI_API_KEY") is None
    for address, key in [
        (server.url, "OPENAI_API_KEY"), (server.url, "AWS_SECRET_ACCESS_KEY"), ("http://10.0.0.5:8000/v1", "LAB_KEY"),
        ("http://10.0.0.5:8001/v1", "OPENAI_API_KEY"), ("https://10.0.0.5:8000/v1", "OPENAI_API_KEY"),
    ]:  # fmt: skip
        assert refusal("url", address, key)
    allow([])
    assert refusal("url", server.url, "LAB_KEY"), "what was allowed to one command is not to the next"


@pytest.mark.parametrize("key", ["gsk_abcdefghijklmnop", "sk-proj-123", "hf_abcdefgh", "two words"])
def test_a_key_in_the_place_of_its_name_is_not_repeated(key):
    said = refusal("url", "https://api.groq.com/v1", key)
    assert said and said.startswith("key is n") and key not in said


@pytest.mark.parametrize("value", [f"{KEY}\n", f"{KEY}\r\nX: y", f" {KEY}", f"{KEY}é"])
def test_a_key_that_would_change_the_request_is_refused_unsaid(server, value, monkeypatch):
    monkeypatch.setenv("REALISM_TEST_KEY", value)
    with pytest.raises(RealismError, match="holds no key: it has white space") as error:
        Endpoint(server.url, "tiny", key="REALISM_TEST_KEY").reply([ROSE])
    assert not server.requests and KEY not in told(error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("kind", ["endpoint", "vila"])
def test_redirects_are_not_followed(server, status, kind):
    location = f"Location: {server.url}/chat/completions".encode()
    with hostile(replying(b"%d Elsewhere\r\n" % status + location)) as first:
        with pytest.raises(
            RealismError, match=rf"sends requests elsewhere \({status}\), where they do not follow; give"
        ):
            ask(kind, first.origin)
        assert len(first.asked) == 1
    assert not server.requests


def test_nothing_else_of_the_environment_is_sent(server, monkeypatch, tmp_path):
    told = {
        "OPENAI_ORG_ID": "org",
        "OPENAI_PROJECT_ID": "proj",
        "OPENAI_ADMIN_KEY": "adm",
        "OPENAI_CUSTOM_HEADERS": "X: h",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, f"{value}-of-the-user")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password pass-of-the-user\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    Endpoint(server.url, "tiny").reply([ROSE])
    headers = server.requests[0]["headers"]
    assert "of-the-user" not in str(server.requests) and KEY not in str(server.requests)
    assert {name.lower() for name in headers} == {
        "host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length",
    }  # fmt: skip


def test_a_proxy_is_asked_for_https_alone_and_sees_no_key(server, monkeypatch):
    with hostile(replying(b"502 Bad Gateway")) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.origin)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        Endpoint(server.url, "tiny", key="REALISM_TEST_KEY").reply([ROSE])
        assert len(server.requests) == 1 and not proxy.asked
        with pytest.raises(RealismError, match="cannot be reached, tried once"):
            Endpoint("https://llm.invalid/v1", "tiny", key="REALISM_TEST_KEY", attempts=1).reply([ROSE])
        assert proxy.asked[0].startswith(b"CONNECT llm.invalid:443") and KEY.encode() not in b"".join(proxy.asked)


@pytest.mark.parametrize(
    "proxy", ["http://me:word-of-mine@host:abc", "me:word-of-mine@proxy:3128", "socks5://proxy:1080"]
)
def test_a_proxy_that_cannot_be_used_is_said_without_its_password(proxy, monkeypatch):
    for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(RealismError, match="the proxy in the environment") as error:
        ask("endpoint", "https://llm.invalid")
    assert "word-of-mine" not in told(error)


def test_the_key_is_nowhere_in_a_run_even_if_the_server_repeats_it(server, write_recipe, run, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    server.content = "\n".join(f"{i}. a {kind} rose of {KEY} \x1b[2J\ud800" for i, kind in enumerate(["red", "white"]))
    recipe = write_recipe(
        f"parts:\n  writer: {{use: endpoint, url: '{server.url}', model: tiny, key: REALISM_TEST_KEY}}\n"
        "steps:\n  - write_prompts: {writer: writer, count: 2, each: 2, alike: 1}\n  - report\n"
    )
    run(recipe)
    assert server.requests[0]["key"] == f"Bearer {KEY}"
    files = [path for folder in ("run", "cache") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert {"report.html", "recipe.yaml", "run.json", "done.json"} <= {path.name for path in files}
    tables = [repr(read_table(path).to_pylist()).encode() for path in files if path.suffix == ".parquet"]
    held = b"".join([path.read_bytes() for path in files] + tables)
    assert b"(the key)" in held
    assert KEY.encode() not in held and b"\x1b[2J" not in held and KEY not in caplog.text


@pytest.mark.parametrize("body", ['{"error": {"message": "SAID"}}', "SAID", '{"error": "SAID"}', '["SAID"]'])
def test_what_a_server_says_of_an_error_is_one_line_without_key_and_escapes(body):
    said = (body.replace("SAID", f"bad {KEY} \x1b]0;pwned\x07\u009b2J\r\nsecond line " + "x" * 9999)).encode()
    with hostile(replying(b"400 Bad", said)) as server, pytest.raises(RealismError, match=r"bad \(the key\) ") as error:
        Endpoint(f"{server.origin}/v1", "tiny", key="REALISM_TEST_KEY").reply([ROSE])
    assert KEY not in told(error) and str(error.value).isprintable() and len(str(error.value)) < 400


OK = b"HTTP/1.1 200 OK\r\n"
SLOW = {
    "nothing": lambda _: time.sleep(2) or iter(()),
    "a slow status": dripping(b"HTTP/1.1 ", b"2"),
    "slow headers": dripping(OK, b"X: y\r\n"),
    "a slow header": dripping(OK + b"X: ", b"y"),
    "a slow body": dripping(OK + b"Content-Length: 100000\r\n\r\n", b" "),
    "chunks without end": dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a chunk without end": dripping(OK + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n", b" "),
    "a slow error": dripping(b"HTTP/1.1 400 Bad\r\nContent-Length: 100000\r\n\r\n", b" "),
    "go on and on": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


def ask(kind: str, place: str, **options) -> None:
    """Ask a server once for each attempt."""
    if kind == "endpoint":
        Endpoint(f"{place}/v1", "tiny", cache=False, **options).reply([ROSE])
    else:
        image = Image.new("RGB", (8, 8))
        options.pop("attempts", None)
        Vila(f"{place}/v1/models/vila", **options).score([Picture(image, Prompt("0", "a rose"))])


@pytest.mark.parametrize("kind", ["endpoint", "vila"])
@pytest.mark.parametrize("slow", SLOW)
def test_a_reply_that_does_not_end_is_given_up_when_the_time_is_over(slow, kind, monkeypatch):
    monkeypatch.setattr(vila, "TRIES", 1)
    with hostile(SLOW[slow]) as server:
        began = time.monotonic()
        with pytest.raises(RealismError, match=r"gave no whole reply within 0\.3 s, asked once; raise 'timeout'"):
            ask(kind, server.origin, timeout=0.3, attempts=1)
        assert 0.25 < time.monotonic() - began < 1.5


def test_a_handshake_that_does_not_end_is_given_up_too(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with hostile(SLOW["nothing"]) as server:
        began = time.monotonic()
        with pytest.raises(RealismError, match=r"gave no whole reply within 0\.3 s"):
            ask("endpoint", server.origin.replace("http:", "https:"), timeout=0.3, attempts=1)
        assert time.monotonic() - began < 1.5


def test_a_dead_server_takes_as_long_as_the_sentence_says():
    with hostile(SLOW["a slow body"]) as server:
        began = time.monotonic()
        with pytest.raises(RealismError, match=r"within 0\.2 s, asked 3 times"):
            ask("endpoint", server.origin, timeout=0.2, attempts=3)
        assert 3 * 0.2 + 0.5 + 1 <= time.monotonic() - began < 3.6
        assert len(server.asked) == 3


@pytest.mark.parametrize("asked", ["1e999", "nan", "-5", "99999999", "Fri, 31 Dec 9999 23:59:59 GMT", "x"])
def test_a_server_cannot_ask_for_any_pause(server, asked, monkeypatch):
    pauses = []
    monkeypatch.setattr("realism.base.network.time.sleep", pauses.append)
    server.failing, server.pause = [429], asked
    Endpoint(server.url, "tiny").reply([ROSE])
    assert all(0 <= pause <= 60 for pause in pauses) and any(pauses)


def flood(head: bytes, block: bytes):
    return dripping(head, block, 0)


LARGE = {
    "a long body": flood(OK + b"Content-Length: 99999999999\r\n\r\n", b" " * 2**16),
    "a body without end": flood(OK + b"\r\n", b" " * 2**16),
    "chunks without end": flood(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"8000\r\n" + b" " * 2**15 + b"\r\n"),
    "a long error": flood(b"HTTP/1.1 400 Bad\r\n\r\n", b" " * 2**16),
}


@pytest.mark.parametrize(("kind", "most"), [("endpoint", "4 MiB"), ("vila", "1 MiB")])
@pytest.mark.parametrize("large", LARGE)
def test_a_reply_that_is_too_large_is_given_up(large, kind, most):
    with hostile(LARGE[large]) as server:
        with pytest.raises(RealismError, match=f"replies with more than {most}; check '(url|endpoint)'"):
            ask(kind, server.origin)
        assert len(server.asked) == 1


@pytest.mark.parametrize("kind", ["endpoint", "vila"])
def test_headers_without_end_are_given_up(kind, monkeypatch):
    monkeypatch.setattr(vila, "TRIES", 1)
    with hostile(flood(OK + b"X: ", b"y" * 2**16)) as server, pytest.raises(RealismError, match="does not speak HTTP"):
        ask(kind, server.origin, attempts=1)


@pytest.mark.parametrize("kind", ["endpoint", "vila"])
def test_a_reply_is_never_unpacked(kind, monkeypatch):
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb") as file:
        file.write(b" " * 2**24)
    monkeypatch.setattr(gzip, "decompress", None)
    with hostile(replying(b"200 OK\r\nContent-Encoding: gzip", bomb.getvalue())) as server:
        with pytest.raises(RealismError, match="replies in a compressed form, which was not asked for"):
            ask(kind, server.origin)
        assert b"accept-encoding: identity" in server.asked[0].lower()


@pytest.mark.parametrize("key", ["LAB_KEY", "AWS_SECRET_ACCESS_KEY"])
def test_the_command_line_allows_and_only_for_its_own_command(key, realism, tmp_path):
    writer = f"{{use: toy_endpoint, url: 'https://a.org/v1', model: tiny, key: {key}}}"
    (tmp_path / "recipe.yaml").write_text(
        f"parts: {{generator: {{use: toy}}, writer: {writer}}}\nprompts: {{use: toy_prompts}}\nsteps: [generate]\n"
    )
    code, said = realism("check", "recipe.yaml")
    assert code == 2 and f"--allow {key}@https://a.org" in said and KEY not in said
    for command in ("check", "show"):
        assert realism(command, "recipe.yaml", "--allow", "http://10.0.0.5", "--allow", f"{key}@https://a.org")[0] == 0
    assert realism("run", "recipe.yaml", "--allow", f"{key}@https://a.org")[0] == 0
    assert realism("run", "recipe.yaml")[0] == 2
    [folder] = (tmp_path / "runs").iterdir()
    assert realism("report", str(folder))[0] == 0


def test_a_name_server_that_hangs_is_not_waited_for(monkeypatch):
    import socket

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(5))
    began = time.monotonic()
    with pytest.raises(RealismError, match=r"gave no whole reply within .* s, asked once"):
        Endpoint("https://slow.example.org/v1", "tiny", timeout=0.5, attempts=1, cache=False).reply([Chat("a rose")])
    assert time.monotonic() - began < 4
