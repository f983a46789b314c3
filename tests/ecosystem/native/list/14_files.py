# Group: Files by address

# %% av | `av.open("http://host:port/a.mp4")` | needs=av | package=av | only=foreign
import av

with contextlib.suppress(av.FFmpegError):
    av.open(f"{URL}a.mp4", timeout=2)

# %% opencv | `cv2.VideoCapture("http://host:port/a.mp4")` | needs=cv2 | package=opencv-python-headless | only=foreign
import cv2

cv2.VideoCapture(f"{URL}a.mp4").release()

# %% rasterio | `rasterio.open("http://host:port/a.tif")` | needs=rasterio | package=rasterio | only=foreign
import rasterio

os.environ |= {"GDAL_HTTP_MAX_RETRY": "0", "GDAL_HTTP_TIMEOUT": "2"}
with contextlib.suppress(rasterio.RasterioIOError):
    rasterio.open(f"{URL}a.tif")

# %% pyogrio | `pyogrio.read_info("/vsicurl/http://host:port/a.gpkg")` | needs=pyogrio | package=pyogrio | only=foreign
import pyogrio

with contextlib.suppress(pyogrio.errors.DataSourceError):
    pyogrio.read_info(f"/vsicurl/{URL}a.gpkg")

# %% netcdf4 | `netCDF4.Dataset("http://host:1/a")` | needs=netCDF4 | package=netCDF4 | only=foreign
import netCDF4

with contextlib.suppress(OSError):
    netCDF4.Dataset(f"http://{HOST}:1/a")

# %% fiona | `fiona.open("http://host:port/a.gpkg")` | needs=fiona | package=fiona | only=foreign
import fiona

with contextlib.suppress(fiona.errors.FionaError):
    fiona.open(f"{URL}a.gpkg")

# %% pyoxigraph | `pyoxigraph.Store().update("LOAD <http://host:port/a.nt>")` | needs=pyoxigraph | package=pyoxigraph | only=foreign
import pyoxigraph

with contextlib.suppress(Exception):
    pyoxigraph.Store().update(f"LOAD <{URL}a.nt>")
