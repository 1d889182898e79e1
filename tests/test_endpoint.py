"""Language models behind an endpoint, on one that runs in this process; and replies that are kept."""

from __future__ import annotations

import base64
import io
import logging
import os
import stat
from pathlib import Path

import examples
import pytest
import tiny
import tiny_endpoint
from PIL import Image
from realism import Chat, RealismError
from realism_generators.chat import TransformersChat
from realism_generators.endpoint import CUT, Endpoint, read_completion
from tiny_endpoint import hostile, replying

ROSE, BEE = Chat("a red rose"), Chat("a bee", system="name the insect")
KEY = "sk-the-secret-itself"


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("REALISM_TEST_KEY", KEY)
    with tiny_endpoint.serving() as server:
        yield server


def bodies(server):
    return [request["body"] for request in server.requests]


def test_a_chat_is_sent_as_the_protocol_has_it(server):
    [reply] = Endpoint(server.url, "tiny", key="REALISM_TEST_KEY", seed=3, more={"top_p": 0.5}).reply([BEE])
    assert reply and reply == reply.strip()
    [request] = server.requests
    assert (request["path"], request["key"]) == ("/v1/chat/completions", f"Bearer {KEY}")
    assert request["body"] == {
        "model": "tiny", "seed": 3, "temperature": 0.0, "max_tokens": 512, "top_p": 0.5,
        "messages": [{"role": "system", "content": "name the insect"}, {"role": "user", "content": "a bee"}],
    }  # fmt: skip


def test_images_are_sent_whole_before_the_text(server):
    image = tiny.picture(1)
    Endpoint(server.url, "tiny", accepts_images=True).reply([Chat("what is it?", (image,))])
    shown, text = bodies(server)[0]["messages"][0]["content"]
    assert text == {"type": "text", "text": "what is it?"}
    sent = Image.open(io.BytesIO(base64.b64decode(shown["image_url"]["url"].removeprefix("data:image/png;base64,"))))
    assert sent.tobytes() == image.tobytes()


@pytest.mark.parametrize(
    ("content", "reply"),
    [
        ("a \ud800rose\udfff", "a \ufffdrose\ufffd"),
        ("\x1b[31mred\x1b[0m\x00 \x9b2J", "\ufffd[31mred\ufffd[0m\ufffd \ufffd2J"),
        ("1. a\r\n2. b\rc\td", "1. a\n2. b\nc\td"),
        ("\u202fein Bär 🐻‍❄️", "ein Bär 🐻‍❄️"),
    ],
)
def test_what_is_no_text_in_a_reply_goes_nowhere_and_the_run_goes_on_again(server, content, reply):
    server.content = content
    assert [Endpoint(server.url, "tiny").reply([ROSE]) for _ in range(2)] == [[reply]] * 2
    assert len(server.requests) == 1
    reply.encode()


@pytest.mark.parametrize("content", [["a list"], 5, {"text": "a rose"}, True])
def test_a_reply_that_is_no_text_is_refused(server, content):
    server.content = content
    with pytest.raises(RealismError, match="does not reply as OpenAI's chat completions do; check 'url'"):
        Endpoint(server.url, "tiny").reply([ROSE])


@pytest.mark.parametrize(
    ("reason", "says"), [("length", "raise 'max_tokens'"), ("content_filter", "withheld the rest")]
)
def test_replies_that_end_early_are_said_once(server, reason, says, caplog):
    server.reason = reason
    Endpoint(server.url, "tiny").reply([ROSE, BEE])
    assert [r.message for r in caplog.records if r.name == "realism" and says in r.message] == [
        f"some replies of {server.url} {CUT[reason]}"
    ]


def test_a_text_with_lone_surrogates_can_be_asked(server):
    assert Endpoint(server.url, "tiny").reply([Chat("a \ud800 rose")])
    assert bodies(server)[0]["messages"][0]["content"] == "a \ud800 rose"


def test_a_busy_or_broken_endpoint_is_asked_again(server):
    server.failing = [429, 500, 503]
    assert Endpoint(server.url, "tiny").reply([ROSE]) != [""]
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("status", "requests", "sentence"),
    [
        (500, 2, "model 'tiny' cannot answer: .*/v1/chat/completions answers 500, asked 2 times: .*a bad day"),
        (429, 2, "has too many requests, tried 2 times; set or lower 'rate', or lower 'concurrency'"),
        (401, 1, "refuses the key in the environment variable 'REALISM_TEST_KEY'; give it a valid key"),
        (404, 1, "model 'tiny' cannot answer: .*/v1/chat/completions answers 404: .*a bad day"),
    ],
)
def test_it_gives_up_in_one_sentence(server, status, requests, sentence):
    server.failing = [status] * 9
    with pytest.raises(RealismError, match=sentence) as said:
        Endpoint(server.url, "tiny", key="REALISM_TEST_KEY", attempts=2, concurrency=1).reply([ROSE])
    assert "\n" not in str(said.value)
    assert len(server.requests) == requests


def test_it_does_not_wait_forever_and_says_when_nothing_is_there(server):
    server.delay = 0.6
    with pytest.raises(RealismError, match=r"gave no whole reply within 0\.1 s, asked once; raise 'timeout'"):
        Endpoint(server.url, "tiny", timeout=0.1, attempts=1).reply([ROSE])
    with pytest.raises(RealismError, match="cannot be reached, tried once; check that it runs"):
        Endpoint("http://127.0.0.1:9/v1", "tiny", attempts=1).reply([ROSE])


def test_what_is_no_chat_completion_is_said(server, monkeypatch):
    monkeypatch.setattr(tiny_endpoint.Handler, "_send", lambda self, *_: plain_page(self))
    with pytest.raises(RealismError, match="does not reply as OpenAI's chat completions do; check 'url'"):
        Endpoint(server.url, "tiny", attempts=1).reply([ROSE])


def plain_page(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "5")
    handler.end_headers()
    handler.wfile.write(b"hello")


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[" * 10**6, b'{"choices": []}', b'{"choices": [{}]}', b'{"choices": [{"message": null}]}',
     b"\xff\xfe", b'{"choices": "abc"}', b'{"choices": [{"message": {"content": ' + b"9" * 5000 + b"}}]}", b"null"],
)  # fmt: skip
def test_what_is_no_completion_is_said_in_a_sentence(body):
    says = "does not reply as OpenAI's chat completions do; check 'url'"
    with hostile(replying(b"200 OK", body)) as server, pytest.raises(RealismError, match=says):
        Endpoint(f"{server.origin}/v1", "tiny", cache=False).reply([ROSE])


def test_no_text_is_an_empty_reply():
    with hostile(replying(b"200 OK", b'{"choices": [{"message": {"content": null}}]}')) as server:
        assert Endpoint(f"{server.origin}/v1", "tiny", cache=False).reply([ROSE]) == [""]
    assert read_completion(b'{"choices": [{"message": {"content": null}, "finish_reason": 5}]}') == ("", 5)


def test_requests_keep_the_rate_also_those_that_are_repeated(server):
    server.failing = [429]
    Endpoint(server.url, "tiny", rate=600, concurrency=4).reply([ROSE, BEE, Chat("sand")])
    times = sorted(request["at"] for request in server.requests)
    assert len(times) == 4 and times[-1] - times[0] >= 0.29


def test_several_requests_are_under_way_at_once_and_come_back_in_order(server):
    chats = [Chat(f"rose {i}") for i in range(8)]
    server.delay = 0.2
    together = Endpoint(server.url, "tiny", concurrency=4, cache=False).reply(chats)
    assert 1 < server.most_open <= 4
    server.delay = server.most_open = 0
    assert Endpoint(server.url, "tiny", concurrency=1, cache=False).reply(chats) == together
    assert server.most_open == 1


def test_the_key_is_written_nowhere(server, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    server.failing, server.said = [400], f"the key {KEY} is odd"
    part = Endpoint(server.url, "tiny", key="REALISM_TEST_KEY")
    with pytest.raises(RealismError) as error:
        part.reply([ROSE])
    part.reply([ROSE])
    kept = [path.read_text() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert kept
    assert not any(KEY in text for text in (str(error.value), repr(error.value), repr(part), caplog.text, *kept))
    assert error.value.__cause__ is None and error.value.__suppress_context__


def test_a_chat_is_asked_once_and_its_reply_kept(server):
    first = Endpoint(server.url, "tiny").reply([ROSE, BEE, ROSE])
    assert len(server.requests) == 2 and first[0] == first[2]
    assert Endpoint(server.url, "tiny", concurrency=1).reply([BEE, ROSE]) == first[1::-1]
    assert len(server.requests) == 2
    for other in ({"seed": 1}, {"temperature": 1.0}, {"max_tokens": 9}, {"more": {"top_p": 0.5}}, {"cache": False}):
        before = len(server.requests)
        Endpoint(server.url, "tiny", **other).reply([ROSE])
        assert len(server.requests) == before + 1, other


def test_replies_beside_one_that_failed_are_kept(server):
    chats = [ROSE, BEE, Chat("sand")]
    server.failing = [200, 400, 200]
    with pytest.raises(RealismError):
        Endpoint(server.url, "tiny", concurrency=3).reply(chats)
    Endpoint(server.url, "tiny").reply(chats)
    assert len(server.requests) == 4


def test_chats_that_wait_behind_one_that_failed_are_not_asked(server):
    server.failing, server.delay = [400], 0.05
    with pytest.raises(RealismError):
        Endpoint(server.url, "tiny", concurrency=1).reply([ROSE, BEE, Chat("sand"), Chat("sea")])
    assert len(server.requests) <= 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"url": "localhost:8000"}, "url is not one such as http://localhost:8000/v1"),
        ({"key": "REALISM_NOT_SET_KEY"}, "key: the environment variable 'REALISM_NOT_SET_KEY' is not set; it should"),
        ({"more": {"model": "x"}}, "more: 'model' is not allowed there; allowed is any field but model, messages"),
        ({"more": {"Messages": []}}, "more: 'Messages' is not allowed there"),
        ({"more": {"top_p": float("nan")}}, "more holds what JSON cannot"),
        ({"more": {"since": {1, 2}}}, "more holds what JSON cannot"),
        ({"model": "tiny\nHost: elsewhere"}, "model is no name"),
        ({"model": ""}, "model is no name"),
    ],
)
def test_options_that_cannot_work_are_found_when_the_recipe_is_checked(options, sentence):
    said = Endpoint(**{"url": "http://localhost:1/v1", "model": "tiny"} | options).options_error() or ""
    assert said.startswith(sentence)


def test_replies_of_a_folder_are_kept_by_its_contents(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    options = {"dtype": "float32", "device": "cpu", "max_tokens": 4}
    written = []

    def write(self, chats):
        written.append(len(chats))
        return [chat.text for chat in chats]

    monkeypatch.setattr(TransformersChat, "_write", write)
    model = Path(examples.chat())
    assert TransformersChat(str(model), **options).reply([ROSE, ROSE]) == [ROSE.text] * 2
    TransformersChat(str(model), **options, batch=1).reply([ROSE])
    TransformersChat(str(model), **options, seed=1).reply([ROSE])
    assert written == [1], "one chat, once; without a temperature the seed decides nothing"
    TransformersChat(str(model), **options, template={"mood": "gay"}).reply([ROSE])
    copy = tmp_path / "model"
    copy.mkdir()
    for file in model.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    TransformersChat(str(copy), **options).reply([ROSE])
    assert written == [1, 1], "a copy of the folder is the same model"
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    TransformersChat(str(copy), **options).reply([ROSE])
    assert written == [1, 1, 1]


@pytest.mark.parametrize(
    "content", ["", "[]", '{"reply": 5}', '{"reply": "\\ud800"}', '{"reply": "\\u001b[2J"}', "[" * 9**5]
)
def test_a_file_of_the_cache_that_is_damaged_is_asked_for_again(server, tmp_path, content):
    [reply] = Endpoint(server.url, "tiny").reply([ROSE])
    [file] = (tmp_path / "cache").rglob("*.json")
    file.write_text(content)
    for _ in range(2):
        assert Endpoint(server.url, "tiny").reply([ROSE]) == [reply]
    assert len(server.requests) == 2


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_a_pipe_or_a_link_in_the_cache_is_not_read_and_replaced(server, tmp_path, kind):
    [reply] = Endpoint(server.url, "tiny").reply([ROSE])
    [file] = (tmp_path / "cache").rglob("*.json")
    other = tmp_path / "other.json"
    other.write_text('{"reply": "of another"}')
    file.unlink()
    os.mkfifo(file) if kind == "pipe" else file.symlink_to(other)
    assert Endpoint(server.url, "tiny").reply([ROSE]) == [reply]
    assert file.is_file() and not file.is_symlink() and other.read_text() == '{"reply": "of another"}'


def test_kept_replies_are_for_their_user_alone(server, tmp_path, monkeypatch):
    folder = tmp_path / "cache" / "realism" / "replies"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    Endpoint(server.url, "tiny").reply([ROSE])
    [file] = folder.rglob("*.json")
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(file.stat().st_mode)) == (0o700, 0o600)
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(RealismError, match="belongs to another user; set XDG_CACHE_HOME"):
        Endpoint(server.url, "tiny").reply([ROSE])
