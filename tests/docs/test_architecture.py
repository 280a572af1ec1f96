"""``docs/architecture.md`` is held to the source: its picture, its lines, its two trips and its walks."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

import pytest

from tests.docs.pages import DOCS, ROOT, blocks, links
from tests.packaging.test_import_direction import MODULES, PACKAGE, SOURCE, imported_names, room
from tests.support.sandbox import Klaviyo
from tests.support.tasks import assign, create, estimate, send

PAGE = DOCS / "architecture.md"
TEXT = PAGE.read_text(encoding="utf-8")
CODE = re.compile(r"`([^`\n]+)`")
FILE_NAME = re.compile(r"[\w./-]+(/|\.(py|md|lua|json|html|typed))")

TRIP_AT_MOST = 25
WAIT_AT_MOST = 7
OPERATOR_AT_MOST = 7


def section(title: str, level: str = "##") -> str:
    """What stands under a heading, up to the next one of its level."""
    _, _, rest = TEXT.partition(f"\n{level} {title}\n")
    assert rest, f"there is no section {title!r}"
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[tuple[str, str]]:
    """The two cells of each row of the tables in a text, without their heads."""
    found = re.findall(r"^\| (.+?) \| (.+) \|$", text, re.MULTILINE)
    return [(first.strip("`"), second) for first, second in found if second not in ("---", "What it is", "Meaning")]


def numbered(text: str) -> list[str]:
    """The items of the numbered lists in a text."""
    return re.findall(r"^\d+\. (.*(?:\n   .*)*)", text, re.MULTILINE)


def names_of_files(text: str) -> list[str]:
    return [name for name in CODE.findall(text) if FILE_NAME.fullmatch(name)]


# --- the floors -------------------------------------------------------------------------------------------------------


def imports() -> dict[str, set[str]]:
    """The rooms that each room imports."""
    found: dict[str, set[str]] = {room(path): set() for path in MODULES}
    for path in MODULES:
        named = {name.split(".")[1] for name in imported_names(path) if name.startswith(f"{PACKAGE}.")}
        found[room(path)] |= named - {room(path)}
    del found["__init__"]
    return found


def reached(start: str, arrows: Mapping[str, set[str]]) -> set[str]:
    """The rooms behind those that a room imports."""
    found: set[str] = set()
    left = [further for direct in arrows[start] for further in arrows[direct]]
    while left:
        if (one := left.pop()) not in found:
            found.add(one)
            left += arrows[one]
    return found


def test_the_picture_has_every_room_and_each_import_that_does_not_follow_from_others() -> None:
    (picture,) = blocks(PAGE, "mermaid")
    drawn = re.findall(r"^ +(\w+)\[", picture.code, re.MULTILINE)
    arrows = re.findall(r"^ +(\w+) --> (\w+)$", picture.code, re.MULTILINE)
    there = imports()
    assert sorted(drawn) == sorted(there)
    assert sorted(arrows) == sorted((one, other) for one in there for other in there[one] - reached(one, there))


# --- the files --------------------------------------------------------------------------------------------------------

FOLDERS = rows(section("Beside the package", "###"))
LINES = [row for row in rows(section("The files")) if row not in FOLDERS]
MADE_OR_SOURCE = ("build", "dist", "src")


def is_code(name: str) -> bool:
    """False for an ``__init__.py`` with a docstring only, or with nothing."""
    body = ast.parse((SOURCE / name).read_text()).body if name.endswith("__init__.py") else [None, None]
    return len(body) > 1


def test_each_file_has_a_line_and_each_line_its_file() -> None:
    lines = [name for name, _ in LINES]
    folders = tuple(name for name in lines if name.endswith("/"))
    files = (path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    there = [name for name in (path.relative_to(SOURCE).as_posix() for path in files) if is_code(name)]
    alone = [name for name in there if not name.startswith(folders)]
    assert sorted(lines) == sorted([*alone, *folders])
    assert all((SOURCE / name).is_dir() for name in folders)


def test_each_folder_beside_the_package_has_a_line() -> None:
    there = [path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))]
    assert sorted(name for name, _ in FOLDERS) == sorted(f"{name}/" for name in there if name not in MADE_OR_SOURCE)


@pytest.mark.parametrize(("name", "line"), LINES, ids=[name for name, _ in LINES])
def test_what_a_line_names_is_in_the_file(name: str, line: str) -> None:
    path = SOURCE / name
    text = path.read_text() if path.is_file() else "".join(map(str, path.iterdir()))
    named = [word.rstrip("…") for word in CODE.findall(line) if not FILE_NAME.fullmatch(word)]
    assert [word for word in named if word not in text] == []


def test_every_file_that_the_page_names_is_there() -> None:
    named = set(names_of_files(TEXT))
    assert len(named) > len(LINES)
    assert [name for name in named if not ((SOURCE / name).exists() or (ROOT / name).exists())] == []


# --- the trips --------------------------------------------------------------------------------------------------------

Step = tuple[str, str]
"""A file that is entered, and the function."""


def steps(run: Callable[[], object]) -> list[Step]:
    """The functions of this package that this thread enters, one after the other; without imports and the sandbox."""
    found: list[Step] = []
    start = f"{SOURCE.resolve()}/"

    def profile(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(start) and code.co_name != "<module>":
            found.append((code.co_filename.removeprefix(start), code.co_qualname))

    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
    return [step for step in found if not step[0].startswith("sandbox/")]


def steps_of_a_send(**arguments: Any) -> list[Step]:
    """A draft is made, given its template, counted and sent; the steps of the send. An earlier one loads everything."""

    def sending() -> Callable[[], object]:
        campaign_id = create().run()
        assign(campaign_id=campaign_id).run()
        estimate(campaign_id=campaign_id).run()
        return send(campaign_id=campaign_id, **arguments).run

    sending()()
    return steps(sending())


def entered(found: list[Step]) -> list[str]:
    return list(dict.fromkeys(name for name, _ in found))


def first_names(title: str) -> list[str]:
    """The file that each item of a trip begins with."""
    return [names_of_files(item)[0] for item in numbered(section(title))]


def test_the_trip_of_a_send_enters_the_files_that_the_page_names(klaviyo: Klaviyo) -> None:
    named = first_names("The trip of one send")
    assert entered(steps_of_a_send()) == named
    assert f"**{len(named)} files**" in section("The trip of one send")
    assert len(named) <= TRIP_AT_MOST


def test_a_send_makes_the_requests_that_the_page_names(klaviyo: Klaviyo) -> None:
    steps_of_a_send(wait_until=None)
    made = [request["operation"] for request in klaviyo.requests()]
    (sentence,) = re.findall(r"^Klaviyo gets four requests .*(?:\n.+)*", section("The trip of one send"), re.MULTILINE)
    assert made[-4:] == CODE.findall(sentence)


def test_a_paced_send_enters_besides_what_the_page_says(klaviyo: Klaviyo, connect: Callable[..., None]) -> None:
    connect(klaviyo.url, rate_limit=True)
    more = set(entered(steps_of_a_send())) - set(first_names("The trip of one send"))
    assert {"api/pacing.py", "api/private.py", "api/limits/budget.py"} <= more
    assert {name for name in more if not name.startswith("api/limits/")} == {"api/pacing.py", "api/private.py"}


def of_the_wait(found: list[Step]) -> Iterator[Step]:
    """From the task's deferral until Airflow makes it again after the event."""
    begun = False
    for step in found:
        begun = begun or step[1] == "KlaviyoWaitingOperator.wait_for"
        if begun and step[1] == "KlaviyoTask.__new__":
            return
        if begun:
            yield step


def test_the_trip_of_a_wait_enters_the_files_that_the_page_names(klaviyo: Klaviyo) -> None:
    named = first_names("The trip of one wait")
    found = entered(list(of_the_wait(steps_of_a_send(deferrable=True))))
    assert [name for name in found if not name.startswith(("hooks/", "api/"))] == named
    assert f"**{len(named)} files**" in section("The trip of one wait")
    assert len(named) <= WAIT_AT_MOST


# --- the words and the walks ------------------------------------------------------------------------------------------

WORDS = rows(section("The words"))


def test_a_word_has_one_meaning() -> None:
    words = [word for word, _ in WORDS]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(("word", "meaning"), WORDS, ids=[word for word, _ in WORDS])
def test_the_classes_that_a_meaning_names_exist(word: str, meaning: str) -> None:
    source = "".join(path.read_text() for path in MODULES)
    named = [word.partition(".")[0] for word in CODE.findall(meaning) if word[0].isupper()]
    assert [name for name in named if not re.search(rf"\b{name}\b", source)] == []


def test_an_operator_is_added_with_at_most_seven_files() -> None:
    walk = numbered(section("Add an operator for another operation", "###"))
    assert all(names_of_files(step) for step in walk)
    assert len(walk) <= OPERATOR_AT_MOST


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/index.md"])
def test_the_page_is_linked(page: str) -> None:
    assert any(link.endswith("architecture.md") for link in links(ROOT / page))
