"""`manage.py worker`: count the words of new notes, until SIGTERM."""

import signal
import threading

from django.core.management.base import BaseCommand
from django.db import close_old_connections, transaction

from notes.models import Note


class Command(BaseCommand):
    """The command, as Django finds it by its name."""

    help = "Count the words of new notes until SIGTERM."

    def handle(self, *args, **options):
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        self.stdout.write("worker started")
        while not stop.is_set():
            close_old_connections()
            if not self.count_one():
                stop.wait(1)
        self.stdout.write("worker stopped")

    @transaction.atomic
    def count_one(self):
        """Count one note. Several workers may run: each locks its note, and the others skip it."""
        note = Note.objects.select_for_update(skip_locked=True).filter(words=None).order_by("id").first()
        if note is None:
            return False
        note.words = len(note.text.split())
        note.save(update_fields=["words"])
        self.stdout.write(f"counted note {note.pk}")
        return True
