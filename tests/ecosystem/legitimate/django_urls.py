"""The routes of the Django site under test."""

from django.http import HttpRequest, HttpResponse
from django.urls import path


async def home(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("home")


urlpatterns = [path("", home)]
