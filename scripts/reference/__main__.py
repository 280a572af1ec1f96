"""Write ``docs/reference``: each public name with its parameters, as the docstrings have them; and what the registry of
Airflow's providers reads of them.

    python -m scripts.reference

What is public is said once, in :mod:`scripts.reference.pages`.
"""

from __future__ import annotations

from scripts.reference import registry
from scripts.reference.pages import FOLDER
from scripts.reference.render import rendered


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.md"):
        old.unlink()
    for name, text in rendered().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"{name}: {text.count(chr(10))} lines")
    registry.FILE.write_text(registry.registry(), encoding="utf-8")


if __name__ == "__main__":
    main()
