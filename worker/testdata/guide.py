"""Saves, runs, updates, observes, calls and stops an application in the style of the user guide.

Environment: URL, TOKEN, MANIFEST and SOURCE (the application's two files). Fails when the worker does not answer as promised.
"""

import asyncio
import base64
import os

from hypha_rpc import connect_to_server


def files(text: str) -> list[dict]:
    return [
        {"name": "manifest.yaml", "content": text, "type": "text"},
        {"name": "main.py", "content": os.environ["SOURCE"], "type": "text"},
        {"name": "folder/data.bin", "content": base64.b64encode(bytes(range(256))).decode(), "type": "base64"},
    ]


async def until(worker, app_id: str, status: str) -> dict:
    for _ in range(300):
        app_status = await worker.get_application_status(application_ids=[app_id])
        if app_status["status"] == status:
            return app_status
        await asyncio.sleep(0.05)
    raise SystemExit(f"not {status}: {app_status}")


async def main() -> None:
    hypha_client = await connect_to_server({"server_url": os.environ["URL"], "token": os.environ["TOKEN"]})
    workspace = hypha_client.config.workspace
    worker = await hypha_client.get_service(f"{workspace}/bioengine-worker")

    status = await worker.get_status()
    assert status["is_ready"] and status["worker_mode"] == "single-machine" and status["workspace"] == workspace, status
    assert isinstance(status["service_start_time"], float) and status["ray_cluster"]["nodes"] == {}, status
    assert await worker.check_access() is True

    artifact_id = await worker.save_application(files=files(os.environ["MANIFEST"]))
    assert artifact_id == f"{workspace}/demo", artifact_id
    # A second upload without the binary file removes it.
    await worker.save_application(files(os.environ["MANIFEST"])[:2])
    manager = await hypha_client.get_service("public/artifact-manager")
    names = {item["name"] for item in await manager.list_files(artifact_id)}
    assert names == {"manifest.yaml", "main.py"}, names
    record = await manager.read(artifact_id)
    assert record["parent_id"] == f"{workspace}/applications" and record["manifest"]["created_by"], record

    app_id = await worker.run_application(artifact_id)
    assert len(app_id.split("-")) == 3, app_id
    app_status = await until(worker, app_id, "RUNNING")
    websocket_service_id = app_status["service_ids"]["websocket_service_id"]
    assert app_status["service_ids"]["webrtc_service_id"] is None
    service = await hypha_client.get_service(websocket_service_id)
    assert await service.echo("hello") == "hello"
    assert await service.get_load() == 0 and await service.get_num_pcs() == 0 and await service.get_rtc_service_id() is None
    assert service.echo.__schema__["description"] == "Does echo.", service.echo.__schema__
    short = await hypha_client.get_service(f"{workspace}/{app_id}")
    assert await short.echo("short") == "short"

    # The flat answer holds the nested one under the id; there service ids are a list.
    nested = app_status[app_id]
    assert nested["service_ids"][0]["websocket_service_id"] == websocket_service_id, nested
    assert app_status["start_time"] == app_status["started_at"] == app_status["last_updated_at"]
    assert app_status["application_kwargs"] == {"Main": {}} and app_status["message"] == ""
    every = await worker.get_application_status()
    assert list(every) == [app_id] and every[app_id]["status"] == "RUNNING"
    for name, info in app_status["deployments"].items():
        assert name == "Main" and info["status"] == "HEALTHY" and info["replica_states"] == {"RUNNING": 1}, info
        assert info["logs"]["living"]["stdout"] == ["one", "two"], info
        assert info["replicas"][0]["steps"] == {"queue": 1.5}, info
    detailed = await worker.get_application_status(application_ids=[app_id], logs_tail=1, n_previous_replica=2)
    logs = detailed["deployments"]["Main"]["logs"]
    assert list(logs) == ["living", "dead-1", "dead-0"] and logs["living"]["stdout"] == ["two"], logs
    assert logs["living"]["stderr"] == ["broken \ufffd text"], logs

    # An update keeps what it does not mention.
    await worker.run_application(
        artifact_id="demo",
        application_id=app_id,
        application_kwargs={"Main": {"text": "x"}},
        application_env_vars={"Main": {"DEBUG_MODE": "true", "_API_KEY": "correct horse"}},
        max_ongoing_requests=20,
    )
    await worker.run_application(artifact_id=artifact_id, application_id=app_id, disable_gpu=True)
    updated = await until(worker, app_id, "RUNNING")
    assert updated["start_time"] == app_status["start_time"] < updated["last_updated_at"]
    assert updated["max_ongoing_requests"] == 20 and updated["gpu_enabled"] is False
    assert updated["application_kwargs"] == {"Main": {"text": "x"}}
    env = updated["application_env_vars"]["Main"]
    assert env["DEBUG_MODE"] == "true" and env["API_KEY"] == "*****" and env["HYPHA_ARTIFACT_ID"] == artifact_id, env
    assert "correct horse" not in str(updated)
    assert updated["service_ids"]["websocket_service_id"] == websocket_service_id
    assert await service.whoami() == "r1x3"

    try:
        await service.fail()
        raise SystemExit("fail did not fail")
    except Exception as error:
        assert "ValueError: as asked" in str(error), error
    for call, text in (
        (lambda: worker.run_application(artifact_id="absent"), f"KeyError: \"Artifact with ID '{workspace}/absent' does not exist."),
        (lambda: worker.run_application(), "TypeError: Missing required argument: 'artifact_id'"),
        (lambda: worker.run_application(5), "TypeError: Artifact ID must be a string."),
        (lambda: worker.run_application("demo", application_id="status"), "ValueError: Invalid application ID: 'status'"),
        (lambda: worker.run_application("demo", application_kwargs=5), "ValueError: application_kwargs must be a dictionary of keyword arguments."),
        (lambda: worker.run_application("demo", application_kwargs={"Main": {"text": 1}}), "ValueError: Parameter 'text' must be of type str, but got int. (main.py:"),
        (lambda: worker.get_application_status(application_ids=[]), "ValueError: application_ids list cannot be empty"),
        (lambda: worker.get_application_status(application_ids="x"), "ValueError: application_ids must be a list of strings or None"),
        (lambda: worker.stop_application("absent"), "RuntimeError: Application 'absent' is not currently deployed. Applications started outside of BioEngine cannot be stopped using this method."),
        (lambda: worker.save_application(files=[]), "RuntimeError: Failed to create/update artifact: No manifest file found in files list. Expected 'manifest.yaml'"),
        (lambda: worker.save_application(files=files("type: x")), "RuntimeError: Failed to create/update artifact: Manifest is missing required field: 'name'"),
    ):
        try:
            await call()
            raise SystemExit(f"accepted instead of: {text}")
        except Exception as error:
            assert text in str(error), f"expected {text}, got {error}"
    assert list(await worker.get_application_status()) == [app_id], "a refused deployment left something behind"

    await worker.stop_application(app_id)
    print("stopping", app_id, flush=True)
    stopped = await until(worker, app_id, "NOT_RUNNING")
    assert f"run_application(application_id='{app_id}'" in stopped["message"], stopped
    assert await worker.get_application_status() == {}
    await hypha_client.disconnect()
    print("ok", flush=True)


asyncio.run(main())
