"""Images. Their bytes are not kept: a URL that looks like Klaviyo's stands for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_klaviyo.sandbox.documents import document
from airflow_provider_klaviyo.sandbox.handlers.reading import many, one
from airflow_provider_klaviyo.sandbox.model import Entity
from airflow_provider_klaviyo.sandbox.refusals import invalid
from airflow_provider_klaviyo.sandbox.served import Handler, Reply, ServedCall

FORMATS = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "gif": "gif"}


def upload_image_from_url(call: ServedCall) -> Reply:
    """The URL is not fetched; its ending is the format."""
    given = call.attributes
    url = given["import_from_url"]
    if url.startswith("data:image/"):
        name, ending, size = "image", url.removeprefix("data:image/").partition(";")[0], len(url) * 3 // 4
    else:
        try:
            name = urlsplit(url).path.rpartition("/")[2]
        except ValueError:
            raise invalid(f"'{url}' is not a URL.", pointer="/data/attributes/import_from_url") from None
        ending, size = name.rpartition(".")[2], 0
    return _created(
        call, given.get("name") or name, ending, size, given.get("hidden"), "/data/attributes/import_from_url"
    )


def upload_image_from_file(call: ServedCall) -> Reply:
    form: Mapping[str, Any] = call.body or {}
    file = form.get("file")
    if not isinstance(file, Mapping):
        raise invalid("'file' is required, in a form.", pointer="/file")
    given = form.get("name")
    name = given if given and isinstance(given, str) else file["filename"]
    hidden = form.get("hidden") == "true"
    return _created(call, name, file["filename"].rpartition(".")[2], file["size"], hidden, "/file")


def update_image(call: ServedCall) -> Reply:
    call.check_ids_agree()
    changes = {name: value for name, value in call.attributes.items() if value is not None}
    image = call.store.get("image", call.id).having(**changes, updated_at=call.time)
    return Reply(200, document(call, call.store.put(image)))


def _created(call: ServedCall, name: str, ending: str, size: int, hidden: Any, pointer: str) -> Reply:
    format_ = FORMATS.get(ending.lower())
    if format_ is None:
        raise invalid(f"'{ending}' is not an image format. Allowed: {', '.join(FORMATS)}.", pointer=pointer)
    id_ = call.store.new_id("image")
    attributes = {
        "name": name,
        "image_url": f"https://images.example.com/{id_}.{ending}",
        "format": format_,
        "size": size,
        "hidden": bool(hidden),
        "updated_at": call.time,
    }
    return Reply(201, document(call, call.store.put(Entity("image", id_, attributes))))


HANDLERS: Mapping[str, Handler] = {
    "get_images": many("image"),
    "get_image": one("image"),
    "upload_image_from_url": upload_image_from_url,
    "upload_image_from_file": upload_image_from_file,
    "update_image": update_image,
}
