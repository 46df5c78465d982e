"""Run ``aisc demo`` on the real parts: ``python -m tests.services.demo WORKSPACE [the demo's own options]``.

Triton serves the shipped victims, an S3 server keeps the artifacts, PostgreSQL the ledger. All three end with the demo;
the published site is copied into ``WORKSPACE/site`` before that.
"""

import os
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from minio import Minio

from aisc.adapters.s3_link import settings_from
from aisc.adapters.store import open_store
from aisc.season import load_season, season_text
from aisc.victims.builtin import builtin_package
from tests.services import ceph_rgw, postgresql, triton

STORE = "s3://aisc/demo"


def main(workspace: Path, options: list[str]) -> int:
    """Start everything, run the demo, copy the site; gives the demo's exit code."""
    missing = [one.MISSING for one in (triton, ceph_rgw, postgresql) if not one.available()]
    if missing:
        print(*missing, sep="\n", file=sys.stderr)
        return 1
    workspace.mkdir(parents=True)
    with ceph_rgw.running_rgw(Path(tempfile.mkdtemp(prefix="rgw-"))) as s3, postgresql.running_postgresql() as ledgers:
        os.environ.update(s3.environment)
        settings = settings_from(STORE, os.environ)
        keys = {"access_key": settings.access_key, "secret_key": settings.secret_key}
        Minio(settings.endpoint, secure=False, region=settings.region, **keys).make_bucket(settings.bucket)
        ledgers.command("CREATE DATABASE demo")
        season = workspace / "season.yaml"
        text = season_text("aisc-demo", datetime.now(UTC).date(), title="AISC demo season on the real parts")
        for name, address in (("store", STORE), ("ledger", ledgers.url("demo"))):
            text = re.sub(rf"^{name}: \S+", f"{name}: {address}", text, flags=re.MULTILINE)
        season.write_text(text)
        names = {name for ref in load_season(season).stages() for name in ref.stage.victims}
        with triton.running_triton({name: builtin_package(name) for name in names}, workspace / "triton") as served:
            os.environ.update(served.server.endpoint.environment)
            words = ["-m", "aisc", "demo", "--workspace", str(workspace), *options]
            code = subprocess.run([sys.executable, *words], check=False).returncode
            print(f"Triton was started again {served.server.restarts} times.")
        store = open_store(STORE)
        for one in store.list("site/"):
            target = workspace / one.key
            target.parent.mkdir(parents=True, exist_ok=True)
            store.fetch(one.key, target)
    print(f"The published site is in {workspace / 'site'}.")
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
