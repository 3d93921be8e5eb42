"""Runs an application several times and tells how long it took each time until it was RUNNING.

Arguments: artifact, application id, times. The first run is not counted; the last one stays. Prints JSON.
Environment: SERVER_URL, TOKEN, WORKER (service id of the worker).
"""

import asyncio
import json
import logging
import os
import sys
import time
from typing import Any

logging.basicConfig(stream=sys.stderr)  # before hypha_rpc chooses standard output

from hypha_rpc import connect_to_server

LOOK = 0.02  # seconds between two looks at the status


async def until(worker: Any, id: str, wanted: str) -> dict:
    """Look until the application is in that state, and return its status."""
    while True:
        status = await worker.get_application_status(application_ids=[id], logs_tail=1)
        if status["status"] == wanted:
            return status
        if status["status"] in ("DEPLOY_FAILED", "UNHEALTHY"):
            raise SystemExit(f"{status['status']}: {status['message']} {status['deployments']}")
        await asyncio.sleep(LOOK)


async def start(worker: Any, artifact: str, id: str) -> dict:
    begun = time.perf_counter()
    await worker.run_application(artifact, application_id=id, max_ongoing_requests=100)
    accepted = time.perf_counter() - begun
    status = await until(worker, id, "RUNNING")
    running = time.perf_counter() - begun
    (deployment,) = status["deployments"].values()
    return {
        "accepted": accepted,
        "running": running,
        "steps": deployment["replicas"][0]["steps"],
        "service": status["service_ids"]["websocket_service_id"],
    }


async def main(artifact: str, id: str, times: int) -> None:
    client = await connect_to_server({"server_url": os.environ["SERVER_URL"], "token": os.environ["TOKEN"]})
    worker = await client.get_service(os.environ["WORKER"])
    runs = [await start(worker, artifact, id)]
    for _ in range(times):
        await worker.stop_application(id)
        await until(worker, id, "NOT_RUNNING")
        runs.append(await start(worker, artifact, id))
    print(json.dumps(runs[1:]))
    await client.disconnect()


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
