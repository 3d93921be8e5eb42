"""Calls an application as the user guide does. Arguments: application id, artifact, then method and its text argument.

Environment: SERVER_URL, TOKEN, WORKER (service id of the worker).
"""

import asyncio
import os
import sys

from hypha_rpc import connect_to_server


async def main(artifact_id: str) -> None:
    hypha_client = await connect_to_server({"server_url": os.environ["SERVER_URL"], "token": os.environ["TOKEN"]})
    worker = await hypha_client.get_service(os.environ["WORKER"])

    application_id = await worker.run_application(
        artifact_id,
        application_env_vars={"Hello": {"_API_KEY": "correct horse battery staple"}},
    )
    for _ in range(600):
        app_status = await worker.get_application_status(application_ids=[application_id], logs_tail=50)
        if app_status["status"] == "RUNNING":
            break
        if app_status["status"] in ("DEPLOY_FAILED", "UNHEALTHY"):
            raise SystemExit(f"{app_status['status']}: {app_status['message']} {app_status['deployments']}")
        await asyncio.sleep(0.2)
    else:
        raise SystemExit(f"not running: {app_status}")

    websocket_service_id = app_status["service_ids"]["websocket_service_id"]
    service = await hypha_client.get_service(websocket_service_id)
    print("answer:", await service.greet(name="BioEngine"))
    print("service:", websocket_service_id)
    who = await service.whoami()
    print("host:", who["host"], "secret:", who["secret_sha256"][:12])

    import numpy as np

    image = np.arange(12, dtype="float32").reshape(3, 4)
    scaled = await service.normalise(image)
    assert scaled.shape == (3, 4) and abs(float(scaled.mean())) < 1e-6, scaled
    print("array:", scaled.dtype, scaled.shape)

    app_status = await worker.get_application_status(application_ids=[application_id])
    for deployment_name, deployment_info in app_status["deployments"].items():
        print("status:", deployment_name, deployment_info["status"])
        for replica, log in deployment_info["logs"].items():
            print("log:", replica, log["stdout"][-1:], log["stderr"][-1:])

    await worker.stop_application(application_id)
    for _ in range(300):
        status = await worker.get_application_status(application_ids=[application_id])
        if status["status"] == "NOT_RUNNING":
            print("stopped")
            break
        await asyncio.sleep(0.2)
    else:
        raise SystemExit("the application did not stop")
    await hypha_client.disconnect()


asyncio.run(main(sys.argv[1]))
