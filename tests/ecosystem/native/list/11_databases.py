# Group: Databases

# %% adbc-flightsql | `adbc_driver_flightsql.dbapi.connect("grpc://host:port")` | needs=adbc_driver_flightsql pyarrow | package=adbc-driver-flightsql | with=pyarrow | only=foreign
import adbc_driver_flightsql.dbapi
from adbc_driver_manager import dbapi

with contextlib.suppress(dbapi.Error):
    connection = adbc_driver_flightsql.dbapi.connect(
        f"grpc://{NETLOC}", db_kwargs={"adbc.flight.sql.rpc.timeout_seconds.query": "1"}
    )
    connection.cursor().execute("SELECT 1")

# %% adbc-postgresql | `adbc_driver_postgresql.dbapi.connect("postgresql://host:port/d")` | needs=adbc_driver_postgresql pyarrow | package=adbc-driver-postgresql | with=pyarrow | only=foreign
import adbc_driver_postgresql.dbapi
from adbc_driver_manager import dbapi

with contextlib.suppress(dbapi.Error):
    adbc_driver_postgresql.dbapi.connect(f"postgresql://u:p@{NETLOC}/d?connect_timeout=2")

# %% adbc-snowflake | `adbc_driver_snowflake.dbapi.connect("u:p@host:port/d?account=a")` | needs=adbc_driver_snowflake pyarrow | package=adbc-driver-snowflake | with=pyarrow | only=foreign
import adbc_driver_snowflake.dbapi
from adbc_driver_manager import dbapi

with contextlib.suppress(dbapi.Error):
    adbc_driver_snowflake.dbapi.connect(
        db_kwargs={
            "adbc.snowflake.sql.account": "a",
            "adbc.snowflake.sql.uri.host": HOST,
            "adbc.snowflake.sql.uri.port": str(PORT),
            "adbc.snowflake.sql.uri.protocol": "http",
            "adbc.snowflake.sql.client_option.login_timeout": "2s",
            "username": "u",
            "password": "p",
        }
    )

# %% adbc-bigquery | `adbc_driver_bigquery.dbapi.connect(...)` | needs=adbc_driver_bigquery pyarrow | package=adbc-driver-bigquery | with=pyarrow | shown=bigquery.googleapis.com | only=foreign
import adbc_driver_bigquery.dbapi
from adbc_driver_manager import dbapi

credentials = '{"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "t"}'


def query():
    with contextlib.suppress(dbapi.Error):
        connection = adbc_driver_bigquery.dbapi.connect(
            db_kwargs={
                "adbc.bigquery.sql.project_id": "p",
                "adbc.bigquery.sql.auth_type": "adbc.bigquery.sql.auth_type.json_credential_string",
                "adbc.bigquery.sql.auth_credentials": credentials,
            }
        )
        connection.cursor().execute("SELECT 1")


def test_way():
    thread = threading.Thread(target=query, daemon=True)
    thread.start()
    thread.join(2)

# %% aerospike | `aerospike.client({"hosts": [(host, port)]})` | needs=aerospike | package=aerospike | only=foreign
import aerospike

with contextlib.suppress(aerospike.exception.AerospikeError):
    aerospike.client({"hosts": [(HOST, PORT)], "connect_timeout": 1000}).connect()

# %% arrow-odbc | `arrow_odbc.read_arrow_batches_from_odbc(...)` | needs=arrow_odbc | package=arrow-odbc | only=foreign
import arrow_odbc

with contextlib.suppress(arrow_odbc.Error):
    arrow_odbc.read_arrow_batches_from_odbc(
        "SELECT 1", f"Driver={{PostgreSQL Unicode}};Server={HOST};Port={PORT};Database=d", user="u", password="p", login_timeout_sec=2
    )

# %% asyncmy | `asyncmy.connect(host=host, port=port)` | needs=asyncmy | package=asyncmy | only=foreign
import asyncmy


async def main():
    with contextlib.suppress(asyncmy.errors.Error):
        await asyncmy.connect(host=HOST, port=PORT, user="u", password="p", connect_timeout=2)


def test_way():
    asyncio.run(main())

# %% asyncpg | `asyncpg.connect(host=host, port=port)` | needs=asyncpg | package=asyncpg | only=foreign
import asyncpg


async def main():
    with contextlib.suppress(asyncpg.PostgresError, OSError):
        await asyncpg.connect(host=HOST, port=PORT, user="u", database="d", timeout=2)


def test_way():
    asyncio.run(main())

# %% cassandra-driver | `cassandra.cluster.Cluster([host], port=port).connect()` | needs=cassandra | package=cassandra-driver | only=foreign
from cassandra.cluster import Cluster, NoHostAvailable

with contextlib.suppress(NoHostAvailable):
    Cluster([HOST], port=PORT, connect_timeout=1).connect()

# %% cassandra-driver-libev | the same over libev | needs=cassandra.io.libevwrapper | package=cassandra-driver | only=foreign
from cassandra.cluster import Cluster, NoHostAvailable
from cassandra.io.libevreactor import LibevConnection

with contextlib.suppress(NoHostAvailable):
    Cluster([HOST], port=PORT, connect_timeout=1, connection_class=LibevConnection).connect()

# %% chdb | `chdb.query("SELECT * FROM url('http://host:port/', LineAsString)")` | needs=chdb | package=chdb | only=foreign
import chdb

with contextlib.suppress(RuntimeError):
    chdb.query(f"SELECT * FROM url('{URL}', LineAsString) SETTINGS http_max_tries = 1")

# %% clickhouse-driver | `clickhouse_driver.Client(host, port=port).execute("SELECT 1")` | needs=clickhouse_driver | package=clickhouse-driver | only=foreign
import clickhouse_driver

with contextlib.suppress(clickhouse_driver.errors.Error, EOFError):
    clickhouse_driver.Client(HOST, port=PORT, connect_timeout=1, send_receive_timeout=1).execute("SELECT 1")

# %% connectorx | `connectorx.read_sql("postgresql://host:port/d", "SELECT 1")` | needs=connectorx | package=connectorx | with=pyarrow | only=foreign
import connectorx



def query():
    with contextlib.suppress(Exception):
        connectorx.read_sql(f"postgresql://u:p@{NETLOC}/d?connect_timeout=2", "SELECT 1", return_type="arrow")


def test_way():
    thread = threading.Thread(target=query, daemon=True)
    thread.start()
    thread.join(1)

# %% couchbase | `couchbase.cluster.Cluster("couchbase://host:port")` | needs=couchbase | package=couchbase | only=foreign
from datetime import timedelta

from couchbase.auth import PasswordAuthenticator
from couchbase.cluster import Cluster
from couchbase.exceptions import CouchbaseException
from couchbase.options import ClusterOptions, ClusterTimeoutOptions

timeouts = ClusterTimeoutOptions(bootstrap_timeout=timedelta(seconds=1), connect_timeout=timedelta(seconds=1))
with contextlib.suppress(CouchbaseException):
    Cluster(f"couchbase://{NETLOC}", ClusterOptions(PasswordAuthenticator("u", "p"), timeout_options=timeouts))

# %% databend-driver | `databend_driver.connect("databend://host:port/d")` | needs=databend_driver | package=databend-driver | only=foreign
import databend_driver

with contextlib.suppress(Exception):
    databend_driver.connect(f"databend://u:p@{NETLOC}/d?sslmode=disable").query_row("SELECT 1")

# %% duckdb | `duckdb.sql("SELECT * FROM 'http://host:port/t.csv'")` | needs=duckdb | package=duckdb | only=foreign
import duckdb

with contextlib.suppress(duckdb.Error):
    duckdb.sql(f"SELECT * FROM '{URL}t.csv'")

# %% ibm-db | `ibm_db.connect("HOSTNAME=host;PORT=port;...")` | needs=ibm_db | package=ibm_db | only=foreign
import ibm_db

with contextlib.suppress(Exception):
    ibm_db.connect(f"DATABASE=d;HOSTNAME={HOST};PORT={PORT};PROTOCOL=TCPIP;UID=u;PWD=p;ConnectTimeout=2", "", "")

# %% ladybug | `Connection.execute("INSTALL httpfs")` | needs=ladybug | package=ladybug | shown=extension.ladybugdb.com | only=foreign
import ladybug

connection = ladybug.Connection(ladybug.Database())
with contextlib.suppress(RuntimeError):
    connection.execute("INSTALL httpfs")

# %% kuzu | `Connection.execute("INSTALL httpfs")` | needs=kuzu | package=kuzu | shown=extension.kuzudb.com | only=foreign
import kuzu

connection = kuzu.Connection(kuzu.Database())
with contextlib.suppress(RuntimeError):
    connection.execute("INSTALL httpfs")

# %% libsql | `libsql.connect("replica.db", sync_url="http://host:port").sync()` | needs=libsql | package=libsql | only=foreign
import libsql

with contextlib.suppress(ValueError):
    libsql.connect("replica.db", sync_url=f"http://{NETLOC}", auth_token="t").sync()

# %% libsql-experimental | `libsql_experimental.connect("replica.db", sync_url="http://host:port").sync()` | needs=libsql_experimental | package=libsql-experimental | only=foreign
import libsql_experimental

with contextlib.suppress(ValueError):
    libsql_experimental.connect("replica.db", sync_url=f"http://{NETLOC}", auth_token="t").sync()

# %% mariadb | `mariadb.connect(host=host, port=port)` | needs=mariadb | package=mariadb | only=foreign
import mariadb

with contextlib.suppress(mariadb.Error):
    mariadb.connect(host=HOST, port=PORT, user="u", password="p", connect_timeout=2)

# %% mssql-python | `mssql_python.connect("Server=host,port;...")` | needs=mssql_python | package=mssql-python | only=foreign
import mssql_python

with contextlib.suppress(mssql_python.Error, RuntimeError):
    mssql_python.connect(f"Server={HOST},{PORT};Database=d;UID=u;PWD=p;Encrypt=no", timeout=2)

# %% mysql-connector | `mysql.connector.connect(host=host, port=port)`, in Python where its C extension does not load | needs=mysql.connector | package=mysql-connector-python | only=foreign
import mysql.connector

with contextlib.suppress(mysql.connector.Error):
    mysql.connector.connect(host=HOST, port=PORT, user="u", password="p", connection_timeout=2)

# %% mysqlclient | `MySQLdb.connect(host=host, port=port)` | needs=MySQLdb | package=mysqlclient | only=foreign
import MySQLdb

with contextlib.suppress(MySQLdb.Error):
    MySQLdb.connect(host=HOST, port=PORT, user="u", password="p", connect_timeout=2)

# %% neo4j-rust-ext | `neo4j.GraphDatabase.driver("bolt://host:port").verify_connectivity()` | needs=neo4j._rust | package=neo4j-rust-ext | only=foreign
import neo4j

with contextlib.suppress(neo4j.exceptions.DriverError, neo4j.exceptions.Neo4jError):
    with neo4j.GraphDatabase.driver(f"bolt://{NETLOC}", auth=("u", "p"), connection_timeout=1) as driver:
        driver.verify_connectivity()

# %% oracledb-thin | `oracledb.connect(dsn="host:port/s")` | needs=oracledb | package=oracledb | only=foreign
import oracledb

with contextlib.suppress(oracledb.Error):
    oracledb.connect(user="u", password="p", dsn=f"{NETLOC}/s", tcp_connect_timeout=2)

# %% psqlpy | `psqlpy.connect("postgresql://host:port/d")` | needs=psqlpy | package=psqlpy | only=foreign
import psqlpy


async def main():
    with contextlib.suppress(Exception):
        await psqlpy.connect(f"postgres://u:p@{NETLOC}/d?connect_timeout=2")


def test_way():
    asyncio.run(main())

# %% psycopg-binary | `psycopg.connect(host=host, port=port)`, with the binary package | needs=psycopg_binary | package=psycopg-binary | with=psycopg | only=foreign
os.environ["PSYCOPG_IMPL"] = "binary"
import psycopg

with contextlib.suppress(psycopg.Error):
    psycopg.connect(host=HOST, port=PORT, user="u", password="p", dbname="d", connect_timeout=2)

# %% psycopg-c | `psycopg.connect(host=host, port=port)`, built here | needs=psycopg_c | package=psycopg-c | with=psycopg | only=foreign
os.environ["PSYCOPG_IMPL"] = "c"
import psycopg

with contextlib.suppress(psycopg.Error):
    psycopg.connect(host=HOST, port=PORT, user="u", password="p", dbname="d", connect_timeout=2)

# %% psycopg-ctypes | `psycopg.connect(host=host, port=port)`, with this machine's libpq | needs=psycopg | package=psycopg | only=foreign
os.environ["PSYCOPG_IMPL"] = "python"
import psycopg

with contextlib.suppress(psycopg.Error):
    psycopg.connect(host=HOST, port=PORT, user="u", password="p", dbname="d", connect_timeout=2)

# %% psycopg2-binary | `psycopg2.connect(host=host, port=port)` | needs=psycopg2 | package=psycopg2-binary | only=foreign
import psycopg2

with contextlib.suppress(psycopg2.Error):
    psycopg2.connect(host=HOST, port=PORT, user="u", password="p", dbname="d", connect_timeout=2)

# %% pymgclient | `mgclient.connect(host=host, port=port)` | needs=mgclient | package=pymgclient | only=foreign
import mgclient

with contextlib.suppress(mgclient.Error):
    mgclient.connect(host=HOST, port=PORT)

# %% pymongo | `pymongo.MongoClient(host, port).admin.command("ping")` | needs=pymongo | package=pymongo | only=foreign
import pymongo

with contextlib.suppress(pymongo.errors.PyMongoError):
    pymongo.MongoClient(HOST, PORT, serverSelectionTimeoutMS=500).admin.command("ping")

# %% pymssql | `pymssql.connect(host, port=port)` | needs=pymssql | package=pymssql | only=foreign
import pymssql

with contextlib.suppress(pymssql.Error):
    pymssql.connect(HOST, "u", "p", "d", port=str(PORT), login_timeout=2, timeout=2)

# %% pyodbc | `pyodbc.connect("Driver=PostgreSQL;Server=host;Port=port;...")` | needs=pyodbc | package=pyodbc | only=foreign
import pyodbc

with contextlib.suppress(pyodbc.Error):
    pyodbc.connect(f"Driver={{PostgreSQL Unicode}};Server={HOST};Port={PORT};Database=d;UID=u;PWD=p", timeout=2)

# %% pyturso | `turso.sync.connect("replica.db", remote_url="http://host:port")` | needs=turso | package=pyturso | only=foreign
import turso.sync

with contextlib.suppress(Exception):
    turso.sync.connect("replica.db", remote_url=f"http://{NETLOC}", auth_token="t").pull()

# %% questdb | `questdb.ingress.Sender.from_conf("tcp::addr=host:port;")` | needs=questdb | package=questdb | only=foreign
from questdb.ingress import IngressError, Sender

with contextlib.suppress(IngressError), Sender.from_conf(f"tcp::addr={NETLOC};") as sender:
    pass

# %% scyllapy | `scyllapy.Scylla(["host:port"]).startup()` | needs=scyllapy | package=scyllapy | note=its addresses are given to a constructor in Rust, which can't be wrapped, and `startup` can't read them | only=foreign
import scyllapy


async def main():
    with contextlib.suppress(Exception):
        await scyllapy.Scylla([NETLOC], connection_timeout=1).startup()


def test_way():
    asyncio.run(main())

# %% snowflake-connector | `snowflake.connector.connect(host=host, port=port)` | needs=snowflake.connector | package=snowflake-connector-python | only=foreign
import snowflake.connector

with contextlib.suppress(snowflake.connector.Error):
    snowflake.connector.connect(
        account="a", user="u", password="p", host=HOST, port=PORT, protocol="http", login_timeout=2, network_timeout=2
    )

# %% snowflake-connector-aio | `await snowflake.connector.aio.connect(host=host, port=port)` | needs=snowflake.connector | package=snowflake-connector-python | only=foreign
import snowflake.connector.aio


async def main():
    with contextlib.suppress(snowflake.connector.Error):
        await snowflake.connector.aio.connect(
            account="a", user="u", password="p", host=HOST, port=PORT, protocol="http", login_timeout=2, network_timeout=2
        )


def test_way():
    asyncio.run(main())

# %% surrealdb | `surrealdb.Surreal("http://host:port").query("RETURN 1")` | needs=surrealdb | package=surrealdb | only=foreign
import surrealdb

with contextlib.suppress(Exception):
    surrealdb.Surreal(f"http://{NETLOC}").query("RETURN 1")

# %% taos-ws-py | `taosws.connect("taosws://host:port")` | needs=taosws | package=taos-ws-py | only=foreign
import taosws

with contextlib.suppress(Exception):
    taosws.connect(f"taosws://u:p@{NETLOC}/d")

# %% teradatasql | `teradatasql.connect(host=host, dbs_port=port)` | needs=teradatasql | package=teradatasql | only=foreign
import teradatasql

with contextlib.suppress(teradatasql.Error):
    teradatasql.connect(host=HOST, dbs_port=str(PORT), user="u", password="p", connect_timeout="2000", cop="false")

# %% hdbcli | `hdbcli.dbapi.connect(address=host, port=port)` | needs=hdbcli | package=hdbcli | only=foreign
from hdbcli import dbapi

with contextlib.suppress(dbapi.Error):
    dbapi.connect(address=HOST, port=PORT, user="u", password="p", connectTimeout=2000)

# %% tigerbeetle | `tigerbeetle.ClientSync(cluster_id=0, replica_addresses="host:port")` | needs=tigerbeetle | package=tigerbeetle | only=foreign
import tigerbeetle

client = tigerbeetle.ClientSync(cluster_id=0, replica_addresses=NETLOC)
time.sleep(0.5)
client.close()

# %% typedb-driver | `typedb.driver.TypeDB.driver("host:port", ...)` | needs=typedb | package=typedb-driver | only=foreign
from typedb.driver import Credentials, DriverOptions, DriverTlsConfig, TypeDB, TypeDBDriverException

with contextlib.suppress(TypeDBDriverException):
    TypeDB.driver(NETLOC, Credentials("u", "p"), DriverOptions(DriverTlsConfig.disabled()))
