"""redis_exporter, as Prometheus reads it: every figure that its dashboards show, and no complaint in its log."""

import re
import subprocess
import tempfile
import time
import socket
import urllib.request

import redis

import tested_server

PROGRAM = tested_server.ARGUMENTS[0]
# Far longer than a loaded machine needs: only a defect runs into it.
PATIENCE_SECONDS = 60

with socket.socket() as free:
    free.bind((tested_server.HOST, 0))
    ADDRESS = f"{tested_server.HOST}:{free.getsockname()[1]}"


def scrape():
    """The metrics, by name and labels."""
    with urllib.request.urlopen(f"http://{ADDRESS}/metrics", timeout=PATIENCE_SECONDS) as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    }


def first_scrape(exporter):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while exporter.poll() is None:
        try:
            return scrape()
        except ConnectionRefusedError:
            pass
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
        assert time.monotonic() < deadline, "the exporter does not listen"
    raise SystemExit(f"the exporter ended with {exporter.returncode}")


def load(client):
    for number in range(100):
        client.set(f"visits:{number}", "x" * number, ex=1000 if number % 2 else None)
        client.get(f"visits:{number}")
    client.get("absent")
    client.set("single", 42)
    try:
        client.incr("visits:7")
    except redis.ResponseError:
        pass


def complaints(log):
    """What the exporter says went wrong. It asks for any string first whether it is a HyperLogLog, as PFCOUNT tells."""
    log.seek(0)
    wrong = re.compile("level=(warning|error|fatal)| err: ")
    return [line for line in log.read().splitlines() if wrong.search(line) and "PFCOUNT" not in line]


def check(metrics):
    def is_at_least(name, least):
        assert name in metrics, f"no {name}"
        assert metrics[name] >= least, f"{name} is {metrics[name]}"

    assert metrics["redis_up"] == 1
    assert metrics['redis_exporter_last_scrape_error{err=""}'] == 0
    for command, calls in [("set", 101), ("get", 101), ("config|get", 1), ("info", 1)]:
        is_at_least(f'redis_commands_total{{cmd="{command}"}}', calls)
        is_at_least(f'redis_commands_duration_seconds_total{{cmd="{command}"}}', 0)
    is_at_least('redis_commands_failed_calls_total{cmd="incrby"}', 1)
    is_at_least('redis_errors_total{err="ERR"}', 1)
    for quantile in ["50", "99", "99.9"]:
        is_at_least(f'redis_latency_percentiles_usec{{cmd="get",quantile="{quantile}"}}', 0)
    is_at_least('redis_latency_percentiles_usec_count{cmd="get"}', 101)

    assert metrics['redis_db_keys{db="db3"}'] == 101
    assert metrics['redis_db_keys_expiring{db="db3"}'] == 50
    is_at_least('redis_db_avg_ttl_seconds{db="db3"}', 0)
    assert metrics['redis_db_keys{db="db0"}'] == 0
    assert metrics['redis_key_value{db="db3",key="single"}'] == 42
    assert metrics['redis_key_size{db="db3",key="visits:7"}'] == 7
    assert metrics['redis_keys_count{db="db3",key="visits:*"}'] == 100

    for name in ["memory_used_bytes", "memory_used_rss_bytes", "memory_used_peak_bytes"]:
        is_at_least(f"redis_{name}", 1)
    is_at_least("redis_memory_max_bytes", 0)
    is_at_least("redis_mem_fragmentation_ratio", 0.01)
    is_at_least("redis_total_system_memory_bytes", 1)
    is_at_least("redis_connected_clients", 2)
    is_at_least("redis_commands_processed_total", 203)
    is_at_least("redis_connections_received_total", 2)
    is_at_least("redis_net_input_bytes_total", 1)
    is_at_least("redis_net_output_bytes_total", 1)
    is_at_least("redis_keyspace_hits_total", 100)
    is_at_least("redis_keyspace_misses_total", 1)
    is_at_least("redis_cpu_user_seconds_total", 0)
    is_at_least("redis_uptime_in_seconds", 0)
    is_at_least("redis_start_time_seconds", 1)
    is_at_least("redis_rdb_last_save_timestamp_seconds", 1)

    for name in ["expired_keys_total", "evicted_keys_total", "rejected_connections_total"]:
        is_at_least(f"redis_{name}", 0)
    assert metrics["redis_blocked_clients"] == 0
    assert metrics["redis_connected_slaves"] == 0
    is_at_least("redis_slowlog_length", 0)
    is_at_least("redis_slowlog_last_id", 0)
    is_at_least("redis_last_slow_execution_duration_seconds", 0)

    assert metrics["redis_config_maxclients"] == 10_000
    assert metrics["redis_config_maxmemory"] == 0
    assert metrics['redis_config_value{key="databases"}'] == 16
    assert metrics['redis_config_key_value{key="maxmemory-policy",value="noeviction"}'] == 1
    assert not any("requirepass" in name for name in metrics), "a password among the metrics"
    assert any(re.match(r"redis_instance_info\{.*redis_version=\"7\.2", name) for name in metrics)
    assert any(name.startswith("redis_connected_clients_details{") for name in metrics)


with redis.Redis(
    host=tested_server.HOST, port=tested_server.PORT, password=tested_server.PASSWORD, db=3
) as client:
    load(client)
    with tempfile.TemporaryFile("w+") as log:
        exporter = subprocess.Popen(
            [
                PROGRAM,
                f"-redis.addr=redis://{tested_server.HOST}:{tested_server.PORT}",
                f"-redis.password={tested_server.PASSWORD}",
                f"-web.listen-address={ADDRESS}",
                "-check-single-keys=db3=single,db3=visits:7",
                "-count-keys=db3=visits:*",
                "-include-config-metrics",
                "-include-system-metrics",
                "-export-client-list",
                "-ping-on-connect",
                "-debug",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            first_scrape(exporter)
            check(scrape())
            assert complaints(log) == [], complaints(log)

            tested_server.stop()
            assert scrape()["redis_up"] == 0
            tested_server.start()
            metrics = scrape()
            assert metrics["redis_up"] == 1 and metrics['redis_db_keys{db="db3"}'] == 101
        finally:
            exporter.kill()
            exporter.wait()
print("fine")
