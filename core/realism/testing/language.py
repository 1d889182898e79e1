"""What every language model must do."""

from __future__ import annotations

from dataclasses import replace

from realism.base.errors import RealismError
from realism.parts import Chat, LanguageModel
from realism.parts.returned import replies_error
from realism.testing.material import TEXTS, pictures
from realism.testing.part import PartSuite


class LanguageModelSuite(PartSuite):
    """The contract of `realism.LanguageModel`."""

    def test_it_gives_one_reply_a_chat(self, part: LanguageModel) -> None:
        replies = part.reply(_chats(part))
        assert (error := replies_error(replies, 4)) is None, error

    def test_replies_have_no_white_space_at_their_ends(self, part: LanguageModel) -> None:
        untidy = [reply for reply in part.reply(_chats(part)) if reply != reply.strip()]
        assert not untidy, f"the reply {untidy[0]!r} should be stripped"

    def test_no_chat_gives_no_reply(self, part: LanguageModel) -> None:
        assert list(part.reply([])) == [], "an empty list of chats should give an empty list of replies"

    def test_the_same_chat_gets_the_same_reply_in_any_batch(self, part: LanguageModel) -> None:
        chats = _chats(part)
        together = part.reply(chats)
        turned = part.reply([*chats[::-1], *chats])
        alone = [part.reply([chat])[0] for chat in chats]
        for i, reply in enumerate(together):
            for other in (turned[len(chats) - 1 - i], turned[len(chats) + i], alone[i]):
                assert other == reply, f"chat {i} gets {reply!r} in one batch and {other!r} in another"

    def test_the_reply_depends_on_the_text(self, part: LanguageModel) -> None:
        replies = part.reply([Chat(text) for text in TEXTS])
        assert len(set(replies)) > 1, f"four texts all got the reply {replies[0]!r}, so the text is not used"

    def test_the_reply_depends_on_the_images_if_it_sees(self, part: LanguageModel) -> None:
        if part.accepts_images:
            replies = part.reply([Chat("What colours are in the picture?", (image,)) for image in pictures()])
            assert len(set(replies)) > 1, f"sees is true, but four pictures all got the reply {replies[0]!r}"

    def test_images_are_refused_in_a_sentence_if_it_does_not_see(self, part: LanguageModel) -> None:
        if part.accepts_images:
            return
        try:
            replies = part.reply([Chat("What colours are in the picture?", (pictures()[0],))])
        except RealismError as error:
            assert str(error).strip(), "the error for a chat with images says nothing"
        else:
            raise AssertionError(f"sees is false, but a chat with an image got the reply {replies[0]!r}")


def _chats(part: LanguageModel) -> list[Chat]:
    """Four chats of different lengths; one has a system text, and every other has images, if the model sees."""
    chats = [Chat(" ".join([text] * (i + 1))) for i, text in enumerate(TEXTS)]
    chats[2] = replace(chats[2], system="You name flowers.")
    if part.accepts_images:
        first, second, *_ = pictures()
        chats[1] = replace(chats[1], images=(first,))
        chats[3] = replace(chats[3], images=(second, first))
    return chats
