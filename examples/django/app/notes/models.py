"""The tables of the app."""

from django.conf import settings
from django.db import models


class Note(models.Model):
    """A text of a user. The worker counts its words, and leaves `words` empty until then.

    Attachments are rows, because a task loses its files when it stops.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    text = models.TextField()
    words = models.IntegerField(null=True)
    file_name = models.CharField(max_length=200, blank=True)
    content = models.BinaryField(default=bytes, max_length=5 * 1024 * 1024)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def as_json(self):
        return {"id": self.pk, "text": self.text, "words": self.words, "attachment": self.file_name or None}
