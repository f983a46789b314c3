# Group: Telemetry, transfer and peers

# %% otlp-grpc | `OTLPSpanExporter(endpoint=...).export(spans)` | needs=opentelemetry | package=opentelemetry-exporter-otlp-proto-grpc | only=foreign
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider

span = TracerProvider().get_tracer("t").start_span("s")
span.end()
exporter = OTLPSpanExporter(endpoint=NETLOC, insecure=True, timeout=1)
exporter.export([span])
exporter.shutdown()

# %% ddtrace | `ddtrace.tracer.trace(...)`, then `flush()` | needs=ddtrace | package=ddtrace | only=foreign | note=a row sees the payload; what the agent can do is asked by a native thread, from the import on
os.environ.update(DD_TRACE_AGENT_URL=URL, DD_INSTRUMENTATION_TELEMETRY_ENABLED="0", DD_REMOTE_CONFIGURATION_ENABLED="0")
import ddtrace.trace

ddtrace.trace.tracer.trace("t").finish()
ddtrace.trace.tracer.flush()
ddtrace.trace.tracer.shutdown(1)

# %% ddtrace-telemetry | the first span of a process, which has telemetry sent | needs=ddtrace | package=ddtrace | only=foreign | note=native threads start it while ddtrace is imported, by a worker that does not tell where it sends
os.environ["DD_TRACE_AGENT_URL"] = URL
import ddtrace.trace

ddtrace.trace.tracer.trace("t").finish()
time.sleep(1)

# %% newrelic | `newrelic.agent.register_application(timeout=...)`, by Python's sockets | needs=newrelic | package=newrelic | only=foreign
os.environ.update(NEW_RELIC_LICENSE_KEY="0" * 40, NEW_RELIC_HOST=HOST, NEW_RELIC_PORT=str(PORT), NEW_RELIC_APP_NAME="a")
import newrelic.agent

newrelic.agent.initialize()
newrelic.agent.register_application(timeout=2)

# %% pyroscope | `pyroscope.configure(server_address=url)` | needs=pyroscope | package=pyroscope-io | only=foreign
import pyroscope

pyroscope.configure(application_name="a", server_address=f"http://{NETLOC}", upload_interval=1)
deadline = time.monotonic() + 1.5
while time.monotonic() < deadline:
    sum(range(1000))
pyroscope.shutdown()

# %% statsig | `Statsig(key, options).initialize().wait()` | needs=statsig_python_core | package=statsig-python-core | only=foreign | note=a client does not show where its options lead
import statsig_python_core

options = statsig_python_core.StatsigOptions(
    specs_url=f"{URL}specs", log_event_url=f"{URL}log", id_lists_url=f"{URL}lists", init_timeout_ms=1000
)
statsig_python_core.Statsig("secret-key", options).initialize().wait()

# %% nominal-streaming | `NominalDatasetStream(...).enqueue(...)` | needs=nominal_streaming | package=nominal-streaming | only=foreign
import nominal_streaming

options = nominal_streaming.PyNominalStreamOpts(base_api_url=f"http://{NETLOC}/api", max_request_delay_secs=0.1)
with nominal_streaming.NominalDatasetStream("key", options).with_core_consumer("ri.catalog.main.dataset.1") as stream:
    stream.enqueue("a", 1, 1.0)
    time.sleep(0.3)

# %% hf-xet | `XetSession().new_upload_commit(endpoint=url, ...).start_upload_bytes(data)` | needs=hf_xet | package=hf-xet | only=foreign
import hf_xet

commit = hf_xet.XetSession().new_upload_commit(endpoint=URL, token="t", token_expiry_unix_secs=2**33)
commit.start_upload_bytes(b"hello" * 1000)
threading.Thread(target=commit.wait_to_finish, daemon=True).start()
time.sleep(1)

# %% hf-transfer | `hf_transfer.download(url, path, ...)` | needs=hf_transfer | package=hf-transfer | only=foreign
import hf_transfer

hf_transfer.download(f"{URL}file", "file", max_files=1, chunk_size=1024)

# %% tokenizers | `tokenizers.Tokenizer.from_pretrained(name)`, by Python's sockets | needs=tokenizers | package=tokenizers | only=foreign
os.environ["HF_ENDPOINT"] = f"http://{NETLOC}"
import tokenizers

tokenizers.Tokenizer.from_pretrained("a/b")

# %% rerun-sdk | `rerun.connect_grpc(url)` | needs=rerun | package=rerun-sdk | only=foreign
import rerun

rerun.init("t")
rerun.connect_grpc(f"rerun+http://{NETLOC}/proxy")
rerun.log("t", rerun.TextLog("hello"))
time.sleep(0.5)
rerun.disconnect()

# %% awscrt-http | `awscrt.http.HttpClientConnection.new(host, port, ...)` | needs=awscrt | package=awscrt | only=foreign
import awscrt.http
import awscrt.io

group = awscrt.io.EventLoopGroup(1)
bootstrap = awscrt.io.ClientBootstrap(group, awscrt.io.DefaultHostResolver(group))
awscrt.http.HttpClientConnection.new(host_name=HOST, port=PORT, bootstrap=bootstrap).result(2)

# %% awscrt-mqtt | `awscrt.mqtt.Connection(client, host, port, id).connect()` | needs=awscrt | package=awscrt | only=foreign
import awscrt.io
import awscrt.mqtt

group = awscrt.io.EventLoopGroup(1)
bootstrap = awscrt.io.ClientBootstrap(group, awscrt.io.DefaultHostResolver(group))
connection = awscrt.mqtt.Connection(awscrt.mqtt.Client(bootstrap), HOST, PORT, "id")
with contextlib.suppress(Exception):
    connection.connect().result(1)

# %% awscrt-mqtt5 | `awscrt.mqtt5.Client(options).start()` | needs=awscrt | package=awscrt | only=foreign
import awscrt.mqtt5

client = awscrt.mqtt5.Client(awscrt.mqtt5.ClientOptions(host_name=HOST, port=PORT))
client.start()
time.sleep(0.5)
client.stop()

# %% awscrt-websocket | `awscrt.websocket.connect(host=..., port=...)` | needs=awscrt | package=awscrt | only=foreign
import awscrt.websocket

done = threading.Event()
awscrt.websocket.connect(
    host=HOST,
    port=PORT,
    handshake_request=awscrt.websocket.create_handshake_request(host=HOST),
    on_connection_setup=lambda data: done.set(),
)
done.wait(2)

# %% boto3-crt | `boto3.client("s3").upload_file(...)` with `preferred_transfer_client="crt"` | needs=boto3 awscrt | package=awscrt | with=boto3 | only=foreign | shown=amazonaws.com
import boto3
import boto3.s3.transfer

with open("f", "wb") as file:
    file.write(b"hello")
client = boto3.client("s3", region_name="eu-west-1")
config = boto3.s3.transfer.TransferConfig(preferred_transfer_client="crt")
threading.Thread(target=client.upload_file, args=("f", "b", "k"), kwargs={"Config": config}, daemon=True).start()
time.sleep(1.5)

# %% libtorrent | `libtorrent.session(...).add_torrent(...)` with a tracker | needs=libtorrent | package=libtorrent | only=foreign
import libtorrent

session = libtorrent.session({"enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False})
torrent = libtorrent.parse_magnet_uri(f"magnet:?xt=urn:btih:{'1' * 40}&tr=http://{NETLOC}/announce")
torrent.save_path = "."
session.add_torrent(torrent)
time.sleep(1)
