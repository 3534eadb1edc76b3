"""How is a release started, seen, steered and brought back over HTTP? The same verbs as the command line, with who did it in the ledger."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gonogo.serving.service import Request, Response, Route
from gonogo.types.errors import GonogoError, NothingThere, RequestRefused
from gonogo.types.record import to_json
from gonogo.workflow.serve import error_of

_WHY: dict[str, Any] = {
    "type": "object",
    "properties": {"why": {"type": "string", "minLength": 1, "description": "The reason, for the ledger"}},
    "required": ["why"],
    "additionalProperties": False,
}
_VERDICT: dict[str, Any] = {
    "type": "object",
    "properties": {"verdict": {"type": "string", "description": "A digest or its first digits; without it the newest"}},
    "additionalProperties": False,
}
_RECORD: dict[str, Any] = {"type": "object"}
_ORDERS = {
    "hold": "Stay until somebody resumes it",
    "resume": "Go on after a hold",
    "advance": "Do not wait for the rest of the bake time",
    "approve": "Allow the next share, which waits for a person",
    "abort": "End it: the champion answers everybody",
}


def release_routes(folder: Path, contract: str) -> tuple[Route, ...]:
    """The paths that steer traffic. Each needs the scope `release`."""
    known = partial(_known, contract)
    return (
        Route(
            method="POST",
            path="/v1/releases",
            scope="release",
            answer=partial(_release, folder),
            summary="Start the rollout of a candidate whose verdict is GO",
            body=_VERDICT,
            returns={201: _RECORD},
            errors=(400, 409, 422, 504),
        ),
        Route(
            method="GET",
            path="/v1/contracts/{name}/rollout",
            scope="release",
            answer=known(partial(_status, folder)),
            summary="Where the rollout stands, and what the evidence says",
            returns={200: _RECORD},
        ),
        *(
            Route(
                method="POST",
                path=f"/v1/contracts/{{name}}/rollout/{order}",
                scope="release",
                answer=known(partial(_order, folder, order)),
                summary=summary,
                body=_WHY,
                returns={200: _RECORD},
                errors=(400, 409, 422, 504),
            )
            for order, summary in _ORDERS.items()
        ),
        Route(
            method="POST",
            path="/v1/contracts/{name}/rollback",
            scope="release",
            answer=known(partial(_rollback, folder)),
            summary="Bring the model back that answered before; answered once every worker has confirmed it",
            body=_WHY,
            returns={200: _RECORD},
            errors=(400, 409, 422, 504),
        ),
    )


def _known(contract: str, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The answer for the contract of this server; NothingThere for another one."""

    async def checked(request: Request) -> Response:
        if request.parts["name"] != contract:
            raise NothingThere(
                f"no contract '{request.parts['name'][:60]}' is served here",
                found=request.parts["name"][:60],
                expected=contract,
                where="path",
            )
        return await answer(request)

    return checked


async def _release(folder: Path, request: Request) -> Response:
    """In a process of its own: packaging needs libraries that a worker must not hold, and time that its callers must not lose."""
    body = _object(request.body, {"verdict"}) if request.body is not None else {}
    command = [sys.executable, "-m", "gonogo.cli.main", "release", "--json", "--folder", str(folder), "--by", request.who]
    verdict = body.get("verdict", "")
    if not isinstance(verdict, str) or verdict.startswith("-"):
        raise RequestRefused("A verdict is named by its digest.", found=str(verdict)[:60], expected="hex digits", where="verdict")
    process = await asyncio.create_subprocess_exec(
        *command, *([verdict] if verdict else []), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    told, _ = await process.communicate()
    record = json.loads(told) if told else {}
    if "error" in record:
        raise error_of(record["error"])
    if process.returncode:
        raise GonogoError("The release ended without saying why.", found=f"status {process.returncode}")
    return Response(status=201, body=record)


async def _status(folder: Path, request: Request) -> Response:
    from gonogo.workflow.rollout import status

    return Response(body=to_json(await asyncio.to_thread(status, folder)))


async def _order(folder: Path, order: str, request: Request) -> Response:
    from gonogo.workflow import rollout

    act = getattr(rollout, order)
    return Response(body=to_json(await asyncio.to_thread(partial(act, folder, why=_why(request), by=request.who))))


async def _rollback(folder: Path, request: Request) -> Response:
    from gonogo.workflow.rollback import rollback

    act = partial(rollback, request.parts["name"], _why(request), folder=folder, by=request.who)
    return Response(body=to_json(await asyncio.to_thread(act)))


def _why(request: Request) -> str:
    why = _object(request.body, {"why"}).get("why")
    if not isinstance(why, str) or not why.strip():
        raise RequestRefused("An order needs a reason.", found=json.dumps(why)[:60], expected='{"why": "…"}', where="why")
    return why


def _object(body: Any, names: set[str]) -> Mapping[str, Any]:
    if not isinstance(body, dict) or not body.keys() <= names:
        found = ", ".join(map(str, body)) if isinstance(body, dict) else type(body).__name__
        raise RequestRefused("The body is not what this path asks for.", found=found[:60], expected=", ".join(sorted(names)), where="body")
    return body
