"""How a language model's replies are written and read: lines of fields, separated by "|", or numbered.

What stands around them (a greeting, Markdown, numbers before lines) is passed over. Reading raises Malformed, whose
message is one reason, in words for the model. Questions are dicts in TIFA's names (Hu et al. 2023): question,
choices, answer, element (what of the text is asked for: the paper's answer source) and element_type (answer type); in
DSG's form (Cho et al. 2024) also id, from 1, and parents, [] for a root.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Question = Mapping[str, Any]

TYPES = (
    "object", "human", "animal", "food", "activity", "attribute", "counting", "color", "material", "spatial",
    "location", "shape", "other",
)  # fmt: skip
"""What a question may ask for. Source: DreamSync, appendix A.1."""
ALSO = {"colour": "color", "count": "counting", "animal/human": "animal", "person": "human", "place": "location"}
ANSWERABLE = "answerable"
CASES = ("several answers", "ambiguous answer", "answer not valid")
"""Why a question is left out. Source: DreamSync, section 4.1."""
BLOCKS = ("tuples", "dependencies", "questions")
MAX_SHOWN = 80

_NUMBERED = re.compile(r"\s*\(?(\d+)\s*[.):]\s*(.*)")
_BULLET = re.compile(r"\s*[-*•]\s+(.*)")
_TUPLE = re.compile(r"(.*?)[-\s]*\((.*)\)")


class Malformed(Exception):
    """A reply that cannot be read, and why."""


def write_prompts(prompts: Sequence[str]) -> str:
    """Prompts as a numbered list."""
    return "\n".join(f"{i}. {prompt}" for i, prompt in enumerate(prompts, 1))


def read_prompts(reply: str) -> list[str]:
    """The prompts of a numbered (or bulleted) list, each once, in order."""
    lines = reply.splitlines()
    found = [m[2] for line in lines if (m := _NUMBERED.match(line))]
    found = found or [m[1] for line in lines if (m := _BULLET.match(line))]
    prompts = list(dict.fromkeys(p for text in found if (p := " ".join(_bare(text).split()))))
    if not prompts:
        raise Malformed("it has no numbered list")
    return prompts


def write_questions(questions: Sequence[Question]) -> str:
    """Questions in TIFA's form, one a line: element | type | question | choices | answer."""
    return "\n".join(
        f"{q['element']} | {q['element_type']} | {q['question']} | {'; '.join(q['choices'])} | {q['answer']}"
        for q in questions
    )


def read_questions(reply: str) -> list[dict[str, Any]]:
    """The questions of a reply in TIFA's form, each once, in order. Lines that cannot be read are passed over while
    they are fewer than the others, as each question stands by itself."""
    rows: list[dict[str, Any]] = []
    wrong: list[Malformed] = []
    for line in reply.splitlines():
        if fields := _fields(line, "element"):
            try:
                rows.append(_question(fields, line))
            except Malformed as reason:
                wrong.append(reason)
    if len(wrong) >= max(1, len(rows)):
        raise wrong[0]
    if not rows:
        raise Malformed("it has no line of the form: element | type | question | choices | answer")
    return list({row["question"].lower(): row for row in reversed(rows)}.values())[::-1]


def _question(fields: Sequence[str], line: str) -> dict[str, Any]:
    if len(fields) != 5:
        raise Malformed(f"5 fields are expected, separated by '|', but {len(fields)} stand in: {_shown(line)}")
    element, kind, question, listed, answer = fields
    kind = ALSO.get(kind.lower(), kind.lower())
    if kind not in TYPES:
        raise Malformed(f"'{_shown(kind)}' is no type; types are {', '.join(TYPES)}")
    if not element or not question:
        raise Malformed(f"a field is empty in: {_shown(line)}")
    choices = [_bare(c) for c in re.split(";" if ";" in listed else ",", listed.strip("[]"))]
    if len(choices) < 2 or "" in choices or len({c.lower() for c in choices}) < len(choices):
        raise Malformed(f"two or more different choices are expected, separated by ';', in: {_shown(line)}")
    if {"yes", "no"} & {c.lower() for c in choices} and {c.lower() for c in choices} != {"yes", "no"}:
        raise Malformed(f"beside yes and no there may be no other choice in: {_shown(line)}")
    right = [c for c in choices if c.lower() == answer.lower()]
    if not right:
        raise Malformed(f"the answer is none of the choices in: {_shown(line)}")
    return {"question": question, "choices": choices, "answer": right[0], "element": element, "element_type": kind}


def write_graph(questions: Sequence[Question]) -> str:
    """Questions in DSG's form: three blocks of lines that begin with an id; a root depends on 0."""
    tuples = [f"{q['id']} | {q['element_type']} ({q['element']})" for q in questions]
    above = [f"{q['id']} | {', '.join(map(str, q['parents'])) or 0}" for q in questions]
    asked = [f"{q['id']} | {q['question']}" for q in questions]
    return "\n".join(
        line for name, rows in zip(BLOCKS, (tuples, above, asked), strict=True) for line in (f"{name}:", *rows)
    )


def read_graph(reply: str) -> list[dict[str, Any]]:
    """The questions of a reply in DSG's form, in the order of the tuples; all have the answer yes."""
    tuples, above, asked = (_block(reply, name) for name in BLOCKS)
    for name, block in (("dependencies", above), ("questions", asked)):
        if wrong := sorted(tuples.keys() ^ block.keys()):
            raise Malformed(f"id {wrong[0]} stands in one of the blocks 'tuples' and '{name}', but not in both")
    parents = {i: _parents(i, line, tuples) for i, line in above.items()}
    if circle := next((i for i in parents if _above_itself(i, parents)), None):
        raise Malformed(f"id {circle} depends on itself")
    rows = []
    for i, line in tuples.items():
        match = _TUPLE.fullmatch(line)
        if not match or not match[1] or not match[2] or not asked[i]:
            raise Malformed(f"'type (element)' and a question are expected of id {i}, not {_shown(line)}")
        rows.append({
            "question": asked[i], "choices": ["yes", "no"], "answer": "yes", "element": match[2].strip(),
            "element_type": match[1].strip(), "id": i, "parents": parents[i],
        })  # fmt: skip
    return rows


def _block(reply: str, name: str) -> dict[int, str]:
    """The lines "id | text" below a heading, by id."""
    rows: dict[int, str] = {}
    inside = False
    for line in reply.splitlines():
        fields = _fields(line, "id")
        heading = re.sub(r"\W", "", line).lower()
        if not fields:
            inside = heading == name if heading in BLOCKS else inside
        elif inside:
            if len(fields) < 2 or not fields[0].isdecimal() or not int(fields[0]):
                raise Malformed(f"'id | text' with an id from 1 is expected, not: {_shown(line)}")
            if int(fields[0]) in rows:
                raise Malformed(f"id {fields[0]} stands twice in the block '{name}'")
            rows[int(fields[0])] = " | ".join(fields[1:])
    if not rows:
        raise Malformed(f"it has no block '{name}:' with lines of the form: id | text")
    return rows


def _parents(i: int, text: str, known: Mapping[int, str]) -> list[int]:
    words = re.split(r"[,;\s]+", text.strip("[]() "))
    wrong = next((w for w in words if not w.isdecimal() or (int(w) and int(w) not in known)), None)
    if wrong is not None:
        raise Malformed(f"id {i} depends on '{_shown(wrong)}', which is no id")
    return [int(w) for w in dict.fromkeys(words) if int(w) not in (0, i)]  # itself, as 35 published items have it


def _above_itself(i: int, parents: Mapping[int, list[int]]) -> bool:
    seen: set[int] = set()
    waiting = list(parents[i])
    while waiting:
        if (one := waiting.pop()) not in seen:
            seen.add(one)
            waiting += parents[one]
    return i in seen


def write_verdict(case: str = "") -> str:
    """The verdict on a question: one of CASES, or "" if it can be answered."""
    return case or ANSWERABLE


def read_verdict(reply: str) -> str:
    """One of CASES, or "" if the reply says that the question can be answered."""
    answer = " ".join(re.findall(r"[a-z]+", reply.lower()))
    found = [v for v in (ANSWERABLE, *CASES) if re.search(rf"\b{v}\b", answer)]
    first = [v for v in found if answer.startswith(v)]
    if "not answerable" in answer or len(first or found) != 1:
        raise Malformed(f"exactly one of '{ANSWERABLE}', {', '.join(map(repr, CASES))} is expected")
    verdict = (first or found)[0]
    return "" if verdict == ANSWERABLE else verdict


def _fields(line: str, head: str) -> list[str]:
    """The fields of a line; none for lines without "|", for a table's rule, and for its head, which begins so."""
    if "|" not in line or not re.search(r"\w", line):
        return []
    numbered = _NUMBERED.match(line) or _BULLET.match(line)
    inner = (numbered[numbered.lastindex or 0] if numbered else line).strip().strip("|")
    fields = [_bare(field) for field in inner.split("|")]
    return [] if fields[0].lower() == head else fields


def _bare(text: str) -> str:
    """A text without Markdown's stars and the quotation marks around it."""
    text = text.strip().strip("*`").strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] + text[-1] in ('""', "''", "“”") else text


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + " ..."
