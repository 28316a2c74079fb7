"""Pages, the API, and a stream of events."""

import asyncio
import json

from django.contrib.auth.decorators import login_required
from django.db import DatabaseError, connection
from django.http import FileResponse, Http404, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from notes.models import Note


def home(request):
    """Redirect to the notes, with an absolute address."""
    return HttpResponseRedirect(request.build_absolute_uri(reverse("notes")))


@login_required
def notes(request):
    """Show the notes of the user, and add one with an attachment."""
    if request.method == "POST":
        upload = request.FILES.get("attachment")
        Note.objects.create(
            owner=request.user,
            text=request.POST["text"],
            file_name=upload.name if upload else "",
            content=upload.read() if upload else b"",
        )
        return redirect("notes")
    return render(request, "notes/notes.html", {"notes": Note.objects.filter(owner=request.user).defer("content")})


@login_required
def attachment(request, number):
    """Return an attachment of the user."""
    note = get_object_or_404(Note, pk=number, owner=request.user)
    if not note.file_name:
        raise Http404
    return FileResponse(iter([bytes(note.content)]), as_attachment=True, filename=note.file_name)


def api_notes(request):
    """Return the notes of the user as JSON. Errors are JSON too."""
    if not request.user.is_authenticated:
        return JsonResponse({"error": "log in first"}, status=401)
    try:
        connection.ensure_connection()
    except DatabaseError:
        return JsonResponse({"error": "the database is away, try again"}, status=503, headers={"Retry-After": "5"})
    found = Note.objects.filter(owner=request.user).defer("content")
    if query := request.GET.get("q"):
        found = found.filter(text__icontains=query)
    return JsonResponse({"notes": [note.as_json() for note in found]})


def api_note(request, number):
    """Return one note of the user as JSON."""
    if not request.user.is_authenticated:
        return JsonResponse({"error": "log in first"}, status=401)
    note = Note.objects.filter(owner=request.user, pk=number).first()
    if note is None:
        return JsonResponse({"error": "no such note", "id": number}, status=404)
    return JsonResponse(note.as_json())


async def events(request):
    """Send server-sent events: a counter, until the viewer closes the connection."""

    async def stream():
        number = 0
        while True:
            number += 1
            yield f"id: {number}\ndata: {json.dumps({'count': number})}\n\n"
            await asyncio.sleep(float(request.GET.get("pause", 1)))

    return StreamingHttpResponse(stream(), content_type="text/event-stream", headers={"Cache-Control": "no-cache"})
