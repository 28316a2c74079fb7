"""Addresses of the site."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import path

from notes import views

urlpatterns = [
    path("", views.home),
    path("admin/", admin.site.urls),
    path("login/", auth.LoginView.as_view(), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("notes/", views.notes, name="notes"),
    path("notes/<int:number>/attachment", views.attachment, name="attachment"),
    path("api/notes", views.api_notes),
    path("api/notes/<int:number>", views.api_note),
    path("events", views.events),
]
handler404 = "notes.errors.not_found"
handler500 = "notes.errors.server_error"
