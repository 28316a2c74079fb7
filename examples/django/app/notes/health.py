"""The health check of the load balancer."""

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpResponse
from django.utils.decorators import sync_and_async_middleware


@sync_and_async_middleware
def HealthCheck(get_response):  # noqa: N802 -- a middleware, which settings name like a class
    """Answer /healthz before anything reads the Host header, which is the address of the task."""
    if iscoroutinefunction(get_response):

        async def middleware(request):
            return HttpResponse("ok") if request.path == "/healthz" else await get_response(request)

        markcoroutinefunction(middleware)
        return middleware
    return lambda request: HttpResponse("ok") if request.path == "/healthz" else get_response(request)
