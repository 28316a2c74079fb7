"""`manage.py cleanup`: delete old attachments and expired sessions."""

from datetime import timedelta

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils import timezone

from notes.models import Note


class Command(BaseCommand):
    """The command, as Django finds it by its name."""

    help = "Delete attachments that are older than a number of days, and expired sessions."

    def add_arguments(self, parser):
        parser.add_argument("--days", type=int, default=365)

    def handle(self, *args, days, **options):
        old = Note.objects.filter(created__lt=timezone.now() - timedelta(days=days)).exclude(file_name="")
        number = old.update(file_name="", content=b"")
        call_command("clearsessions")
        self.stdout.write(f"deleted {number} attachments")
