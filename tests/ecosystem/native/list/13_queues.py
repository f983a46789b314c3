# Group: Queues, caches, coordination

# %% aiokafka | `aiokafka.AIOKafkaProducer(bootstrap_servers="host:port").start()` | needs=aiokafka | package=aiokafka | only=foreign
import aiokafka


async def main():
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=NETLOC, request_timeout_ms=1000)
    with contextlib.suppress(aiokafka.errors.KafkaError):
        await producer.start()


def test_way():
    asyncio.run(main())

# %% apache-iggy | `apache_iggy.IggyClient("host:port").connect()` | needs=apache_iggy | package=apache-iggy | note=its address is given to a constructor in Rust, which can't be wrapped, and `connect` can't read it | only=foreign
import apache_iggy


async def main():
    with contextlib.suppress(Exception):
        await asyncio.wait_for(apache_iggy.IggyClient(NETLOC).connect(), 1)


def test_way():
    asyncio.run(main())

# %% confluent-kafka | `confluent_kafka.Producer({"bootstrap.servers": "host:port"})` | needs=confluent_kafka | package=confluent-kafka | only=foreign
import confluent_kafka

producer = confluent_kafka.Producer({"bootstrap.servers": NETLOC, "log_level": 0})
producer.produce("topic", b"hello")
producer.poll(0.3)
producer.purge()

# %% cyclonedds | `cyclonedds.domain.DomainParticipant()` | needs=cyclonedds | package=cyclonedds | note=called by ctypes; what it sends to stands in its domain's configuration | only=foreign
from cyclonedds.domain import Domain, DomainParticipant

domain = Domain(
    0,
    f"""<CycloneDDS><Domain><General><AllowMulticast>false</AllowMulticast></General>
    <Discovery><Peers><Peer Address="{NETLOC}"/></Peers></Discovery></Domain></CycloneDDS>""",
)
DomainParticipant(0)
time.sleep(0.5)

# %% etcd-client-py | `etcd_client.Client(["http://host:port"]).connect()` | needs=etcd_client | package=etcd-client-py | only=foreign
import etcd_client


async def main():
    with contextlib.suppress(Exception):
        async with etcd_client.Client([f"http://{NETLOC}"]).connect() as communicator:
            await asyncio.wait_for(communicator.get(b"key"), 2)


def test_way():
    asyncio.run(main())

# %% fluvio | `fluvio.Fluvio.connect()` | needs=fluvio | package=fluvio | note=its address stands in a file of its own | only=foreign
import fluvio

os.makedirs(".fluvio")
with open(".fluvio/config", "w") as file:
    file.write(
        'version = "2.0"\ncurrent_profile = "p"\n[profile.p]\ncluster = "c"\n'
        f'[cluster.c]\nendpoint = "{NETLOC}"\n[cluster.c.tls]\ntls_policy = "disabled"\n'
    )
with contextlib.suppress(Exception):
    fluvio.Fluvio.connect()

# %% natsrpy | `natsrpy.Nats(["nats://host:port"]).startup()` | needs=natsrpy | package=natsrpy | only=foreign
import natsrpy


async def main():
    with contextlib.suppress(Exception):
        await asyncio.wait_for(natsrpy.Nats([f"nats://{NETLOC}"]).startup(), 2)


def test_way():
    asyncio.run(main())

# %% pulsar | `pulsar.Client("pulsar://host:port").create_producer("t")` | needs=pulsar | package=pulsar-client | only=foreign
import pulsar

client = pulsar.Client(f"pulsar://{NETLOC}", operation_timeout_seconds=1, connection_timeout_ms=1000)
with contextlib.suppress(pulsar.PulsarException):
    client.create_producer("t")

# %% pylibmc | `pylibmc.Client(["host:port"]).get("key")` | needs=pylibmc | package=pylibmc | only=foreign
import pylibmc

with contextlib.suppress(pylibmc.Error):
    pylibmc.Client([NETLOC], behaviors={"connect_timeout": 1000}).get("key")

# %% pynng | `pynng.Pair0(dial="tcp://host:port")` | needs=pynng | package=pynng | only=foreign
import pynng

with contextlib.suppress(pynng.NNGException):
    pynng.Pair0(dial=f"tcp://{NETLOC}")
time.sleep(0.2)

# %% python-qpid-proton | `proton.utils.BlockingConnection("amqp://host:port")` | needs=proton | package=python-qpid-proton | only=foreign
from proton import ConnectionException, Timeout
from proton.utils import BlockingConnection

with contextlib.suppress(ConnectionException, Timeout):
    BlockingConnection(f"amqp://{NETLOC}", timeout=1)

# %% pyzmq | `zmq.Context().socket(zmq.PUSH).connect("tcp://host:port")` | needs=zmq | package=pyzmq | only=foreign
import zmq

with zmq.Context() as context, context.socket(zmq.PUSH) as s:
    s.setsockopt(zmq.LINGER, 0)
    s.connect(f"tcp://{NETLOC}")
    time.sleep(0.2)

# %% redis-hiredis | `redis.Redis(host=host, port=port).ping()`, with hiredis | needs=redis hiredis | package=hiredis | with=redis | only=foreign
import redis

with contextlib.suppress(redis.RedisError):
    redis.Redis(host=HOST, port=PORT, socket_timeout=1, socket_connect_timeout=1).ping()

# %% solace-pubsubplus | `MessagingService.builder().from_properties({"solace.messaging.transport.host": "tcp://host:port"}).build().connect()` | needs=solace | package=solace-pubsubplus | only=foreign
from solace.messaging.errors.pubsubplus_client_error import PubSubPlusClientError
from solace.messaging.messaging_service import MessagingService

service = MessagingService.builder().from_properties(
    {
        "solace.messaging.transport.host": f"tcp://{NETLOC}",
        "solace.messaging.service.vpn-name": "v",
        "solace.messaging.authentication.scheme.basic.username": "u",
        "solace.messaging.authentication.scheme.basic.password": "p",
        "solace.messaging.transport.connection-attempts-timeout": 1000,
    }
)
with contextlib.suppress(PubSubPlusClientError):
    service.build().connect()

# %% temporalio | `temporalio.client.Client.connect("host:port")` | needs=temporalio | package=temporalio | only=foreign
import temporalio.client


async def main():
    with contextlib.suppress(RuntimeError, asyncio.TimeoutError):
        await asyncio.wait_for(temporalio.client.Client.connect(NETLOC), 2)


def test_way():
    asyncio.run(main())

# %% valkey | `valkey.Valkey(host=host, port=port).ping()` | needs=valkey | package=valkey | only=foreign
import valkey

with contextlib.suppress(valkey.ValkeyError):
    valkey.Valkey(host=HOST, port=PORT, socket_timeout=1, socket_connect_timeout=1).ping()

# %% valkey-glide | `glide.GlideClient.create(GlideClientConfiguration([NodeAddress(host, port)]))` | needs=glide | package=valkey-glide | only=foreign
import glide


async def main():
    with contextlib.suppress(glide.ClosingError, asyncio.TimeoutError):
        configuration = glide.GlideClientConfiguration([glide.NodeAddress(HOST, PORT)], request_timeout=1000)
        await asyncio.wait_for(glide.GlideClient.create(configuration), 3)


def test_way():
    asyncio.run(main())

# %% valkey-glide-sync | `glide_sync.GlideClient.create(GlideClientConfiguration([NodeAddress(host, port)]))` | needs=glide_sync | package=valkey-glide-sync | only=foreign
import glide_sync

with contextlib.suppress(glide_sync.ClosingError):
    configuration = glide_sync.GlideClientConfiguration([glide_sync.NodeAddress(HOST, PORT)], request_timeout=1000)
    glide_sync.GlideClient.create(configuration)

# %% zenoh | `zenoh.open({"mode": "client", "connect": {"endpoints": ["tcp/host:port"]}})` | needs=zenoh | package=eclipse-zenoh | only=foreign
import zenoh

configuration = zenoh.Config()
configuration.insert_json5("mode", '"client"')
configuration.insert_json5("connect/endpoints", f'["tcp/{NETLOC}"]')
configuration.insert_json5("connect/timeout_ms", "1000")
with contextlib.suppress(zenoh.ZError):
    zenoh.open(configuration)
