"""The notes in Django's admin site."""

from django.contrib import admin

from notes.models import Note

admin.site.register(Note, list_display=["id", "owner", "words", "file_name"])
