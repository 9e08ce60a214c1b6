"""Apache Kafka: fetched by Maven into the cache folder, run with its own start script's flags on loopback."""

import shutil
import subprocess
from pathlib import Path

from machine import Server, cache_dir, say

HERE = Path(__file__).resolve().parent
VERSION = "4.3.1"
# kafka-server-start.sh and kafka-run-class.sh
JVM = ["-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
       "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-XX:MaxInlineLevel=15",
       "-Djava.awt.headless=true"]


def install():
    libs = cache_dir() / f"kafka-{VERSION}"
    if not libs.is_dir():
        for tool in ("java", "mvn"):
            if not shutil.which(tool):
                raise RuntimeError(f"{tool} is needed to run Apache Kafka, and is not on PATH")
        say(f"fetching Apache Kafka {VERSION} from Maven Central")
        new = libs.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        subprocess.run(["mvn", "-q", "-B", "-f", HERE / "pom.xml", f"-Dkafka.version={VERSION}",
                        "dependency:copy-dependencies", f"-DoutputDirectory={new}"], check=True)
        new.rename(libs)
    return libs


class Kafka:
    name = "Apache Kafka"
    key = "kafka"
    version = VERSION

    def __init__(self, root, port=29092):
        self.root, self.port = Path(root) / "kafka", port
        self.libs = install()
        self.server = None

    def _java(self, *args):
        return ["java", *JVM, "-cp", f"{HERE / 'conf'}:{self.libs}/*", *map(str, args)]

    def start(self, data="data", settings=None):
        """Starts on a data folder, made ready before the clock runs."""
        folder = self.root / data
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "process.roles": "broker,controller", "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.port + 1}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.port + 1}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": folder / "log", "offsets.topic.replication.factor": 1,
            # Deleted topics leave room for the next round.
            "log.segment.delete.delay.ms": 1000,
            "transaction.state.log.replication.factor": 1, "transaction.state.log.min.isr": 1,
            **(settings or {}),
        }
        properties = folder / "server.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in config.items()))
        if not (folder / "log" / "meta.properties").exists():
            subprocess.run(self._java("kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c", properties),
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.server = Server(self._java("kafka.Kafka", properties), folder / "server.out")
        return self.server

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"
