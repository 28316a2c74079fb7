"""Errors: JSON for the API, and Django's pages otherwise."""

from django.http import JsonResponse
from django.views import defaults


def not_found(request, exception):
    if request.path.startswith("/api/"):
        return JsonResponse({"error": "not found", "path": request.path}, status=404)
    return defaults.page_not_found(request, exception)


def server_error(request):
    if request.path.startswith("/api/"):
        return JsonResponse({"error": "internal error"}, status=500)
    return defaults.server_error(request)
