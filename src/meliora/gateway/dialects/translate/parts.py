"""Images and documents between chat parts and messages blocks. Never fetches: a URL is passed on as a URL."""

from __future__ import annotations

from typing import Any

from meliora.gateway.dialects.translate.crossing import Crossing, mapping, text

_IMAGE_TYPES = frozenset(("image/jpeg", "image/png", "image/gif", "image/webp"))
_PART_KEYS = frozenset(("type", "text", "image_url", "file", "input_audio", "refusal", "prompt_cache_breakpoint"))


def split_data_url(url: str) -> tuple[str, str] | None:
    """Give media type and base64 data of a data URL; None for anything else."""
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url[5:].partition(",")
    kind, *marks = head.split(";")
    if not comma or "base64" not in (mark.strip().lower() for mark in marks):
        return None
    return kind.strip().lower(), data


def part_to_block(part: dict[str, Any], path: str, crossing: Crossing) -> dict[str, Any] | None:
    """Turn a chat content part into a messages block; None where there is nothing to send, or it was dropped."""
    crossing.only(part, _PART_KEYS, path)
    kind = part.get("type")
    if kind == "text":
        return {"type": "text", "text": part["text"]} if text(part.get("text")) else None
    if kind == "refusal":
        return {"type": "text", "text": part["refusal"]} if text(part.get("refusal")) else None
    if kind == "image_url":
        return _image_block(part.get("image_url"), path, crossing)
    if kind == "file":
        return _document_block(mapping(part.get("file")), path, crossing)
    crossing.drop(path, f"a part of type {str(kind)[:40]!r}")
    return None


def _image_block(image: Any, path: str, crossing: Crossing) -> dict[str, Any] | None:
    url = text(image.get("url")) if isinstance(image, dict) else text(image)
    data = split_data_url(url)
    if data is not None:
        kind = "image/jpeg" if data[0] == "image/jpg" else data[0]
        if kind in _IMAGE_TYPES:
            return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data[1]}}
        crossing.drop(path, f"images of type {kind[:40]!r}")
        return None
    if url[:8].lower() in ("https://",) or url[:7].lower() == "http://":
        return {"type": "image", "source": {"type": "url", "url": url}}
    raise crossing.invalid(path, "must hold an image as an http(s) URL or a base64 data URL")


def _document_block(file: dict[str, Any], path: str, crossing: Crossing) -> dict[str, Any] | None:
    title = {"title": file["filename"]} if text(file.get("filename")) else {}
    url, data = text(file.get("file_url")), text(file.get("file_data"))
    if url:
        return {"type": "document", "source": {"type": "url", "url": url}, **title}
    if not data:
        crossing.drop(f"{path}.file.file_id", "files kept at the provider")
        return None
    kind, content = split_data_url(data) or ("application/pdf", data)
    if kind != "application/pdf":
        crossing.drop(path, f"documents of type {kind[:40]!r}")
        return None
    return {"type": "document", "source": {"type": "base64", "media_type": kind, "data": content}, **title}


def block_to_part(block: dict[str, Any], path: str, crossing: Crossing) -> dict[str, Any] | None:
    """Turn a text, image or document block into a chat content part; None where it was dropped or is empty."""
    kind = block.get("type")
    source = mapping(block.get("source"))
    if kind == "text":
        if block.get("citations"):
            crossing.drop(f"{path}.citations")
        return {"type": "text", "text": text(block.get("text"))}
    if kind == "image" and block.get("transformations"):
        crossing.drop(f"{path}.transformations")
    if kind == "image" and source.get("type") == "base64":
        url = f"data:{text(source.get('media_type'))};base64,{text(source.get('data'))}"
        return {"type": "image_url", "image_url": {"url": url}}
    if kind == "image" and source.get("type") == "url":
        return {"type": "image_url", "image_url": {"url": text(source.get("url"))}}
    if kind == "document":
        return _file_part(block, source, path, crossing)
    crossing.drop(path if kind != "image" else f"{path}.source", f"a block of type {str(kind)[:40]!r}")
    return None


def _file_part(block: dict[str, Any], source: dict[str, Any], path: str, crossing: Crossing) -> dict[str, Any] | None:
    if mapping(block.get("citations")).get("enabled"):
        crossing.drop(f"{path}.citations")
    if block.get("context"):
        crossing.drop(f"{path}.context")
    name = text(block.get("title"))
    if source.get("type") == "base64":
        url = f"data:{text(source.get('media_type'))};base64,{text(source.get('data'))}"
        return {"type": "file", "file": {"filename": name or "document.pdf", "file_data": url}}
    if source.get("type") == "text":
        words = text(source.get("data"))
        return {"type": "text", "text": f"{name}\n\n{words}" if name else words}
    crossing.drop(f"{path}.source", "a document that is not given inside the request")
    return None
