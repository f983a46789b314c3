# Group: Tables and object stores

# %% daft | `daft.read_csv("http://host:port/t.csv")` | needs=daft | package=daft | only=foreign
os.environ["DO_NOT_TRACK"] = "1"
import daft

with contextlib.suppress(Exception):
    daft.read_csv(f"{URL}t.csv").collect()

# %% daft-s3 | `daft.read_parquet("s3://bucket/t.parquet")` | needs=daft | package=daft | only=foreign
os.environ["DO_NOT_TRACK"] = "1"
import daft

store = daft.io.S3Config(
    endpoint_url=URL, region_name="eu-west-1", key_id="a", access_key="b", num_tries=1, connect_timeout_ms=1000
)
with contextlib.suppress(Exception):
    daft.read_parquet("s3://bucket/t.parquet", io_config=daft.io.IOConfig(s3=store)).collect()

# %% datafusion | `SessionContext().read_csv("https://host:port/t.csv")` | needs=datafusion | package=datafusion | only=foreign
import datafusion
from datafusion.object_store import Http

context = datafusion.SessionContext()
context.register_object_store("https://", Http(f"https://{NETLOC}"), NETLOC)


def query():
    with contextlib.suppress(Exception):
        context.read_csv(f"{HTTPS}t.csv").collect()


def test_way():
    thread = threading.Thread(target=query, daemon=True)
    thread.start()
    thread.join(1)

# %% deltalake | `deltalake.DeltaTable("s3://bucket/t")` | needs=deltalake | package=deltalake | only=foreign
import deltalake

with contextlib.suppress(Exception):
    options = {"aws_endpoint_url": URL, "aws_allow_http": "true", "max_retries": "0", "timeout": "1s"}
    deltalake.DeltaTable("s3://bucket/t", storage_options=options)

# %% hdfs-native | `hdfs_native.Client("hdfs://host:port").get_file_info("/")` | needs=hdfs_native | package=hdfs-native | only=foreign
import hdfs_native


def ask():
    with contextlib.suppress(OSError, RuntimeError):
        hdfs_native.Client(f"hdfs://{NETLOC}").get_file_info("/")


def test_way():
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(1)

# %% icechunk | `icechunk.Repository.open(icechunk.s3_storage(endpoint_url="http://host:port", ...))` | needs=icechunk | package=icechunk | only=foreign
import icechunk

storage = icechunk.s3_storage(
    bucket="b", prefix="p", region="eu-west-1", endpoint_url=URL, allow_http=True, access_key_id="a", secret_access_key="b"
)
with contextlib.suppress(Exception):
    icechunk.Repository.open(storage)

# %% lancedb | `lancedb.connect("db://d", host_override="http://host:port").table_names()` | needs=lancedb | package=lancedb | only=foreign
import lancedb

with contextlib.suppress(Exception):
    lancedb.connect(
        "db://d", api_key="k", host_override=f"http://{NETLOC}", client_config={"retry_config": {"retries": 0}}
    ).table_names()

# %% lancedb-s3 | `lancedb.connect("s3://bucket/d").open_table("t")` | needs=lancedb | package=lancedb | only=foreign
import lancedb

options = {"aws_endpoint": URL, "allow_http": "true", "aws_access_key_id": "a", "aws_secret_access_key": "b", "timeout": "1s"}
with contextlib.suppress(Exception):
    lancedb.connect("s3://bucket/d", storage_options={**options, "client_max_retries": "0"}).open_table("t")

# %% obstore | `obstore.get(obstore.store.HTTPStore.from_url("http://host:port/"), "key")` | needs=obstore | package=obstore | only=foreign
import obstore.store

with contextlib.suppress(Exception):
    store = obstore.store.HTTPStore.from_url(
        URL, client_options={"allow_http": True, "timeout": "1s"}, retry_config={"max_retries": 0}
    )
    obstore.get(store, "key")

# %% opendal | `opendal.Operator("http", endpoint="http://host:port").read("key")` | needs=opendal | package=opendal | only=foreign
import opendal

with contextlib.suppress(Exception):
    opendal.Operator("http", endpoint=f"http://{NETLOC}").read("key")

# %% opendal-async | `opendal.AsyncOperator("s3", endpoint="http://host:port", ...).stat("key")` | needs=opendal | package=opendal | only=foreign
import opendal


async def main():
    operator = opendal.AsyncOperator(
        "s3", endpoint=f"http://{NETLOC}", bucket="b", region="eu-west-1", access_key_id="a", secret_access_key="b"
    )
    with contextlib.suppress(Exception):
        await asyncio.wait_for(operator.stat("key"), 2)


def test_way():
    asyncio.run(main())

# %% polars | `polars.scan_parquet("http://host:port/t.parquet").collect()` | needs=polars | package=polars | only=foreign
import polars

with contextlib.suppress(Exception):
    polars.scan_parquet(f"{URL}t.parquet", storage_options={"max_retries": 0}).collect()

# %% polars-csv | `polars.read_csv("http://host:port/t.csv")` | needs=polars | package=polars | only=foreign
import polars

with contextlib.suppress(Exception):
    polars.read_csv(f"{URL}t.csv")

# %% pyarrow-dataset | `pyarrow.dataset.dataset("bucket/t", filesystem=pyarrow.fs.S3FileSystem(...))` | needs=pyarrow | package=pyarrow | only=foreign
import pyarrow.dataset
import pyarrow.fs

store = pyarrow.fs.S3FileSystem(
    access_key="a",
    secret_key="b",
    region="eu-west-1",
    endpoint_override=NETLOC,
    scheme="http",
    connect_timeout=1,
    request_timeout=1,
    retry_strategy=pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=1),
)
with contextlib.suppress(OSError):
    pyarrow.dataset.dataset("bucket/t", filesystem=store)

# %% pyarrow-flight | `pyarrow.flight.connect("grpc://host:port").do_action(...)` | needs=pyarrow | package=pyarrow | only=foreign
import pyarrow.flight

with contextlib.suppress(Exception):
    options = pyarrow.flight.FlightCallOptions(timeout=1)
    next(pyarrow.flight.connect(f"grpc://{NETLOC}").do_action(("a", b""), options))

# %% pylance | `lance.dataset("s3://bucket/t.lance")` | needs=lance | package=pylance | only=foreign
import lance

options = {"aws_endpoint": URL, "allow_http": "true", "aws_access_key_id": "a", "aws_secret_access_key": "b", "timeout": "1s"}
with contextlib.suppress(Exception):
    lance.dataset("s3://bucket/t.lance", storage_options={**options, "client_max_retries": "0"})

# %% tiledb | `tiledb.VFS(config).is_file("s3://bucket/key")` | needs=tiledb | package=tiledb | only=foreign
import tiledb

config = {
    "vfs.s3.endpoint_override": NETLOC,
    "vfs.s3.scheme": "http",
    "vfs.s3.use_virtual_addressing": "false",
    "vfs.s3.connect_timeout_ms": "1000",
    "vfs.s3.connect_max_tries": "1",
    "vfs.s3.aws_access_key_id": "a",
    "vfs.s3.aws_secret_access_key": "b",
}
with contextlib.suppress(tiledb.TileDBError):
    tiledb.VFS(config).is_file("s3://bucket/key")

# %% vortex | `vortex.open("https://host:port/t.vortex")` | needs=vortex | package=vortex-data | only=foreign
import vortex


def read():
    with contextlib.suppress(Exception):
        vortex.open(f"{HTTPS}t.vortex")


def test_way():
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(1)
