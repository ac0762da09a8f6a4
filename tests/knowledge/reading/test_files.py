"""Files and folders become documents; what is wrong with one is told and stops no other."""

from __future__ import annotations

import io
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.knowledge.documents import Document
from meliora.knowledge.reading.base import Limits, Refused
from meliora.knowledge.reading.files import read_bytes, read_path


def _documents(found):
    return {one.id: one for one in found if isinstance(one, Document)}


def _refused(found):
    return {one.source: one.reason for one in found if isinstance(one, Refused)}


def test_a_folder_is_read_and_its_bad_files_are_told(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.md").write_text("# Title\n\nwords")
    (tmp_path / "b.html").write_text("<title>T</title><script>bad()</script><p>shown &amp; read")
    (tmp_path / "c.jsonl").write_text('{"_id": 7, "text": "x", "metadata": {"n": 1}}\n{broken\n')
    (tmp_path / "d.csv").write_text("id,text,size\n1,hello,3\n")
    (tmp_path / "e.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0")
    (tmp_path / "f.txt").write_bytes("ümlaut".encode("cp1252"))
    (tmp_path / "big.txt").write_text("x" * 2000)
    (tmp_path / ".hidden").write_text("no")
    os.mkfifo(tmp_path / "pipe")
    os.symlink("/etc/passwd", tmp_path / "outside.txt")
    found = list(read_path(tmp_path, Limits(file_bytes=1000)))
    kept, refused = _documents(found), _refused(found)
    assert set(kept) == {"sub/a.md", "b.html", "7", "1", "f.txt"}
    assert (kept["sub/a.md"].title, kept["b.html"].title, kept["b.html"].text) == ("Title", "T", "shown & read")
    assert kept["7"].metadata == {"n": 1}
    assert kept["f.txt"].text == "ümlaut"
    outside = str(tmp_path / "outside.txt")
    assert set(refused) == {"c.jsonl:2", "e.png", "big.txt", "pipe", outside}
    assert "leads out" in refused[outside]
    assert "1,000" in refused["big.txt"]


def test_json_lines_may_be_more_together_than_one_document_may_be(tmp_path):
    """They are read one by one; a line that is too long, broken or no text stops no other."""
    lines = [json.dumps({"id": str(at), "text": "x" * 90}).encode() for at in range(100)]
    lines[7], lines[8], lines[9] = json.dumps({"id": "7", "text": "x" * 5000}).encode(), b"{broken", b"\0\1\2\3"
    (tmp_path / "many.jsonl").write_bytes(b"\n".join(lines))
    found = list(read_path(tmp_path / "many.jsonl", Limits(file_bytes=1000)))
    assert set(_documents(found)) == {str(at) for at in range(100)} - {"7", "8", "9"}
    refused = _refused(found)
    assert set(refused) == {"many.jsonl:8", "many.jsonl:9", "many.jsonl:10"}
    assert "1,000" in refused["many.jsonl:8"]


def test_the_limit_that_refuses_a_file_is_named_by_its_setting(tmp_path):
    (tmp_path / "big.txt").write_text("x" * 2000)
    (one,) = read_path(tmp_path / "big.txt", Limits(file_bytes=1000))
    assert isinstance(one, Refused)
    assert "knowledge.document_bytes" in one.hint


def test_the_same_folder_again_gives_the_same_ids(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    first = set(_documents(read_path(tmp_path)))
    (tmp_path / "a.txt").write_text("two")
    assert set(_documents(read_path(tmp_path))) == first == {"a.txt"}


def test_a_file_that_is_not_there_is_told(tmp_path):
    assert "No such file" in _refused(read_path(tmp_path / "none"))["none"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_are_told_apart(encoding):
    (one,) = read_bytes("Plain words, é".encode(encoding), "a.txt")
    assert isinstance(one, Document)
    assert one.text == "Plain words, é"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "Ошибка соединения с базой данных."),
        ("koi8-r", "Ошибка соединения с базой данных."),
        ("cp866", "Ошибка соединения с базой данных."),
        ("shift_jis", "データベースへの接続に失敗しました。"),
        ("euc-jp", "データベースへの接続に失敗しました。"),
        ("iso2022_jp", "データベースへの接続に失敗しました。"),
        ("euc-kr", "데이터베이스 연결에 실패했습니다."),
        ("gb18030", "中文文本，数据库连接错误。请检查您的密码。"),
        ("cp1252", "Über die Straße läuft ein Mädchen früh."),
    ],
)
def test_encodings_from_before_utf8_are_told_by_their_letters(encoding, text):
    (one,) = read_bytes(text.encode(encoding), "a.txt")
    assert isinstance(one, Document)
    assert one.text == text


def test_a_text_whose_encoding_cannot_be_told_is_refused_and_what_declares_it_is_read():
    """It is not kept as letters that nobody wrote."""
    hebrew = "<p>החיבור למסד הנתונים נכשל. בדוק את הסיסמה.</p>"
    data = hebrew.encode("cp1255")
    assert "encoding" in _refused(read_bytes(data, "a.html"))["a.html"]
    for source in (
        read_bytes(data, "a.html", content_type="text/html; charset=windows-1255"),
        read_bytes(b'<meta http-equiv="Content-Type" content="text/html; charset=windows-1255">' + data, "a.html"),
    ):
        (one,) = source
        assert isinstance(one, Document)
        assert one.text == "החיבור למסד הנתונים נכשל. בדוק את הסיסמה."
    (one,) = read_bytes("ü".encode(), "a.txt", content_type="text/plain; charset=rot13")
    assert isinstance(one, Document)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_table_is_read_whatever_separates_its_columns(separator):
    (one,) = read_bytes(
        separator.join(["id", "text", "size"]).encode() + b"\n" + separator.join("1a3").encode(), "a.csv"
    )
    assert isinstance(one, Document)
    assert (one.id, one.text, one.metadata) == ("1", "a", {"size": "3"})


def test_a_list_of_which_no_entry_has_a_text_is_a_document_as_it_stands():
    data = b'[{"port": 8080, "host": "atlas"}, {"port": 9090}]'
    (one,) = read_bytes(data, "hosts.json")
    assert isinstance(one, Document)
    assert (one.id, one.text) == ("hosts.json", data.decode())


def test_a_file_is_found_by_its_folders_too(tmp_path):
    (tmp_path / "billing").mkdir()
    (tmp_path / "billing" / "README").write_text("words")
    (one,) = read_path(tmp_path)
    assert isinstance(one, Document)
    assert one.title == "billing/README"


def test_metadata_that_is_no_object_is_a_field():
    (one,) = read_bytes(b'{"id": "a", "text": "x", "metadata": "internal"}\n', "a.jsonl")
    assert isinstance(one, Document)
    assert one.metadata == {"metadata": "internal"}


def test_links_that_lead_round_or_away_stop_nothing(tmp_path):
    (tmp_path / "a.txt").write_text("words")
    os.symlink("round", tmp_path / "back")
    os.symlink("back", tmp_path / "round")
    os.symlink(".", tmp_path / "itself")
    os.symlink("/nowhere", tmp_path / "away.txt")
    found = list(read_path(tmp_path))
    assert set(_documents(found)) == {"a.txt"}
    told = {name.rpartition("/")[2]: why for name, why in _refused(found).items()}
    assert set(told) == {"back", "round", "itself", "away.txt"}
    assert "leads out" in told["itself"], "it is the folder itself"


def test_a_broken_pdf_is_refused_and_an_encrypted_one_too():
    pypdf = pytest.importorskip("pypdf")
    assert "broken" in _refused(read_bytes(b"%PDF-1.7 nothing", "a.pdf"))["a.pdf"]
    writer, out = pypdf.PdfWriter(), io.BytesIO()
    writer.add_blank_page(100, 100)
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(out)
    assert _refused(read_bytes(out.getvalue(), "b.pdf"))["b.pdf"] == "it is encrypted"


def test_a_pdf_is_told_whatever_stands_before_it():
    for data, name in ((b"\r\n%PDF-1.7", "letter"), (b"HTTP/1.1 200 OK\r\n\r\n%PDF-1.7", "a.pdf")):
        assert "broken" in _refused(read_bytes(data, name))[name]
    assert isinstance(next(iter(read_bytes(b"A file of it begins with %PDF-1.7", "a.txt"))), Document)


def test_a_pdf_over_its_time_is_refused():
    assert "longer than" in _refused(read_bytes(b"%PDF-1.7", "a.pdf", Limits(pdf_seconds=0.001)))["a.pdf"]


def test_deep_json_and_long_references_are_told_or_read():
    assert list(read_bytes(b"[" * 100_000, "a.json"))
    assert list(read_bytes(b"<p>&#" + b"9" * 100_000 + b";x", "a.html"))
    assert list(read_bytes(json.dumps([{"text": "a"}, {"x": 1}]).encode(), "b.json"))


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["a.txt", "a.html", "a.json", "a.jsonl", "a.csv", "a.md"]))
def test_any_bytes_are_read_or_refused(data, name):
    assert all(isinstance(one, (Document, Refused)) for one in read_bytes(data, name))
