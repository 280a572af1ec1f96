"""The fast tests on each Airflow that is supported, with what was current when it was released: ``make test-matrix``.

That is what its official constraints pin, and what managed Airflows run. A Python that this machine does not have is
skipped, and nox says so. The environments are kept in ``.nox``.
"""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.download_python = "never"

CELLS = [
    # Python, Airflow, and the day whose packages are taken
    ("3.11", "3.0.6", "2025-09-01"),
    ("3.12", "3.0.6", "2025-09-01"),
    ("3.12", "3.1.8", "2026-03-14"),
    ("3.13", "3.2.2", "2026-06-01"),
    ("3.13", "3.3.2", "2026-09-20"),
    ("3.14", "3.3.2", "2026-09-20"),
    ("3.13", "3.4.0b2", "2026-10-23"),
]
LATER = ("klaviyo-api", "time-machine")
"""What the tests need newer than some of these days."""

EXTRAS = ".[parquet,phone,redis,sandbox,sql]"


@nox.session
@nox.parametrize(
    "python,airflow,day", CELLS, ids=[f"Airflow {airflow}, Python {python}" for python, airflow, _ in CELLS]
)
def fast(session: nox.Session, airflow: str, day: str) -> None:
    """The fast tests but the thorough ones."""
    install(session, airflow, day, "--prerelease", "if-necessary")
    test(session)


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """The same with the lowest versions of what this package itself asks for, on the oldest Airflow.

    Airflow 3.0 opens no file with the universal-pathlib of today, so what Airflow asks for is of its day, too.
    """
    _, airflow, day = CELLS[0]
    install(session, airflow, day, "--resolution", "lowest-direct")
    test(session)


def install(session: nox.Session, airflow: str, day: str, *arguments: str) -> None:
    newer = [argument for name in LATER for argument in ("--exclude-newer-package", f"{name}=2100-01-01")]
    session.install(
        *("--compile-bytecode", "--group", "test", "--editable", EXTRAS, f"apache-airflow=={airflow}"),
        *("--exclude-newer", day, *newer, *arguments),
    )


def test(session: nox.Session) -> None:
    """Run the tests that the command line names after ``--``."""
    session.run("python", "-c", "import airflow, sys; print(airflow.__version__, sys.version)")
    session.run(
        *("python", "-m", "pytest", "-q", "-p", "tests.support.progress", "-o", "console_output_style=classic"),
        *("--numprocesses", "2", "--dist", "worksteal", "-m", "not live and not thorough"),
        *session.posargs,
    )
