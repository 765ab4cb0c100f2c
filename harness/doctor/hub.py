"""The model hub: offline by choice, or reached within seconds through its own client."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from harness.doctor.finding import Finding, fine, lacking

LIMIT_S = 3.0
"""Longest that all questions to the hub take together."""

_REQUEST_LIMIT_S = 2.0
_STEPS_OUT = "unset HF_HUB_OFFLINE, or set HF_HOME to a cache that has the weights"


@dataclass(frozen=True, slots=True)
class Question:
    """A repository at a commit; None stands for its newest."""

    repository: str
    revision: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: ``has`` if the hub has the repository at that commit.

    ``reached`` is False if nothing that speaks as a hub does answered; ``fault`` says what
    happened instead, by the kind of the error only: its text may hold an address with a password.
    """

    reached: bool
    has: bool = False
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the hub's client is set up; the token itself is never looked at."""

    offline: bool
    token: bool
    cache: str


def read_settings() -> Settings:
    """Read what the hub's client made of its environment variables and files."""
    from huggingface_hub import constants, get_token  # noqa: PLC0415 - heavy

    return Settings(
        offline=bool(constants.HF_HUB_OFFLINE),
        token=get_token() is not None,
        cache=str(constants.HF_HUB_CACHE),
    )


def ask(questions: Sequence[Question], limit_s: float = LIMIT_S) -> dict[Question, Answer]:
    """Ask the hub for each repository, all at once.

    A name that does not resolve may keep a request waiting for much longer than the client's own
    limits, so each request has a thread that nobody waits for once the time is up.

    Returns
    -------
    dict[Question, Answer]
        Every question's answer, after ``limit_s`` seconds at the latest.
    """
    answers: queue.SimpleQueue[tuple[Question, Answer]] = queue.SimpleQueue()

    def request(question: Question) -> None:
        answers.put((question, _request(question)))

    for question in questions:
        threading.Thread(target=request, args=(question,), daemon=True).start()
    deadline = time.monotonic() + limit_s
    known = dict.fromkeys(questions, Answer(False, fault=f"no answer within {limit_s:g} s"))
    for _ in questions:
        try:
            question, answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        known[question] = answer
    return known


def examine(settings: Settings, answers: dict[Question, Answer], *, needed: bool) -> Finding:
    """Say whether the hub can be reached; it is needed where weights are still to be fetched."""
    token = "a token is set" if settings.token else "no token is set"
    details: dict[str, object] = {
        "offline": settings.offline,
        "token": settings.token,
        "cache": settings.cache,
    }
    where = f"{token}; cache {settings.cache}"
    if settings.offline:
        details["reached"] = None
        found = f"offline by HF_HUB_OFFLINE; {where}"
        return lacking("model hub", found, _STEPS_OUT, needed=needed, details=details)
    reached = any(answer.reached for answer in answers.values())
    details["reached"] = reached
    if reached:
        return fine("model hub", f"reached; {where}", needed=needed, details=details)
    faults = ", ".join(sorted({answer.fault for answer in answers.values()}))
    return lacking(
        "model hub",
        f"not reached ({faults}); {where}",
        "connect, set HF_ENDPOINT to a mirror, or use a cache or folder of weights",
        needed=needed,
        details=details,
    )


def _request(question: Question) -> Answer:
    from huggingface_hub import HfApi  # noqa: PLC0415 - heavy

    # HTTPError is what its transport raises: of requests, httpx or httpx2, by the client's version
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined] # noqa: PLC0415

    try:
        HfApi().model_info(
            question.repository, revision=question.revision, timeout=_REQUEST_LIMIT_S
        )
    except HfHubHTTPError as error:
        return Answer(reached=True, fault=f"{type(error).__name__}: {error.response.status_code}")
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        # the page of a proxy or of a captive portal, not a hub's record
        return Answer(reached=False, fault="something else than a hub answers")
    except (OSError, HTTPError) as error:
        return Answer(reached=False, fault=type(error).__name__)
    return Answer(reached=True, has=True)
