"""Downloads from servers that stall, truncate, corrupt, redirect, lack ranges, or change their mind."""

import fcntl
import hashlib
import shutil
import socket
from collections import namedtuple

import pytest

from bad_server import CONTENT, serving
from dashnas.errors import DataError, StorageError
from dashnas.tasks.download import DownloadError, Patience, download

# Long enough for a busy machine, and a second where the wait itself is tested.
HASTY = Patience(stall_seconds=10, attempts=2, pause_seconds=0)
STALLS = Patience(stall_seconds=1, attempts=2, pause_seconds=0)
HALF = len(CONTENT) // 2
CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture
def server():
    with serving() as state:
        yield state


@pytest.fixture
def target(tmp_path):
    return tmp_path / "sub" / "data.bin"


def bring(server, target, *paths, patience=HASTY, **more):
    download([server.address + path for path in paths or ("/file",)], target, patience=patience, **more)


def refused(server, target, *paths, **more):
    with pytest.raises(DownloadError) as caught:
        bring(server, target, *paths, **more)
    assert not target.exists()
    return str(caught.value)


def test_a_file_is_alone_in_its_folder_once_it_is_whole(server, target):
    told = []
    bring(server, target, progress=lambda *counts: told.append(counts))
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["data.bin"]
    assert told[-1] == (len(CONTENT), len(CONTENT))


@pytest.mark.parametrize("fault", ["truncate", "stall"])
def test_after_a_break_only_the_rest_is_asked_for(server, target, fault):
    server.faults["/file"] = [fault]
    bring(server, target, patience=STALLS if fault == "stall" else HASTY)
    assert target.read_bytes() == CONTENT
    assert server.requests == [("/file", None), ("/file", f"bytes={HALF}-")]


def test_the_next_call_goes_on_where_the_last_one_gave_up(server, target):
    server.faults["/file"] = ["truncate", "503", "503"]
    assert "the server answers 503 Service Unavailable" in refused(server, target)
    server.requests.clear()
    told = []
    bring(server, target, progress=lambda *counts: told.append(counts))
    assert target.read_bytes() == CONTENT
    assert server.requests == [("/file", f"bytes={HALF}-")]
    assert told[0][0] > HALF


def test_attempts_that_get_further_are_not_counted(server, target):
    server.faults["/file"] = ["truncate"] * 8
    bring(server, target)
    assert target.read_bytes() == CONTENT
    assert len(server.requests) == 9


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("truncate", f"the connection broke after {HALF} of {len(CONTENT)} bytes"),
        ("stall", "nothing came for 1 s"),
    ],
)
def test_a_server_without_ranges_that_never_gets_further_is_given_up(server, target, fault, reason):
    class Always(list):
        def pop(self, _):
            return fault

    server.tag = ""
    server.faults["/file"] = Always(["always"])
    assert reason in refused(server, target, patience=STALLS if fault == "stall" else HASTY)
    assert server.requests == [("/file", None)] * 3


def test_a_server_that_ignores_ranges_sends_all_once_more(server, target):
    server.faults["/file"] = ["truncate", "no ranges"]
    bring(server, target)
    assert target.read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_not_pieced_together(server, target):
    server.faults["/file"] = ["truncate", "503", "503"]
    refused(server, target)
    server.files["/file"], server.tag = b"x" + CONTENT[1:], '"2"'
    bring(server, target)
    assert target.read_bytes() == b"x" + CONTENT[1:]


def test_without_a_tag_nothing_is_pieced_together(server, target):
    server.faults["/file"] = ["no tag"]
    bring(server, target)
    assert server.requests == [("/file", None)] * 2
    assert target.read_bytes() == CONTENT


def test_another_piece_than_asked_for_is_not_taken(server, target):
    server.faults["/file"] = ["truncate", "wrong piece"]
    bring(server, target)
    assert target.read_bytes() == CONTENT


def test_what_was_whole_when_the_process_was_killed_needs_no_more(server, target):
    server.faults["/file"] = ["truncate", "503", "503"]
    refused(server, target)
    part = target.with_name(".data.bin.part")
    part.write_bytes(CONTENT)
    bring(server, target)
    assert target.read_bytes() == CONTENT
    assert server.requests[-1] == ("/file", f"bytes={len(CONTENT)}-")


def test_more_than_there_is_begins_anew(server, target):
    server.faults["/file"] = ["truncate", "503", "503"]
    refused(server, target)
    target.with_name(".data.bin.part").write_bytes(CONTENT + b"more")
    bring(server, target)
    assert target.read_bytes() == CONTENT


def test_a_redirect_is_followed(server, target):
    server.faults["/elsewhere"] = ["redirect"]
    bring(server, target, "/elsewhere")
    assert target.read_bytes() == CONTENT


def test_a_redirect_in_a_circle_is_given_up(server, target):
    server.faults["/elsewhere"] = ["redirect forever"]
    assert "the server answers 302" in refused(server, target, "/elsewhere")


def test_mirrors_are_tried_in_turn_and_a_failure_names_the_reason_of_each(server, target):
    server.faults["/b"] = ["web page"] * 2
    message = refused(server, target, "/a", "/b")
    assert f"{server.address}/a: the server answers 404 Not Found; " in message
    assert f"{server.address}/b: the server answers with a web page, not with the file" in message
    bring(server, target, "/a", "/b", "/file")
    assert target.read_bytes() == CONTENT


def test_what_was_begun_at_a_mirror_goes_on_there_first(server, target):
    server.faults["/file"] = ["truncate", "503", "503"]
    refused(server, target, "/a", "/file")
    server.requests.clear()
    bring(server, target, "/a", "/file")
    assert server.requests == [("/file", f"bytes={HALF}-")]


def test_a_corrupt_file_is_not_taken(server, target):
    server.faults["/file"] = ["corrupt"]
    found = hashlib.sha256(b"\x01" + CONTENT[1:]).hexdigest()
    expected = f"the file there has sha256 {found}, expected {CHECKSUM[7:]}"
    assert expected in refused(server, target, checksum=CHECKSUM)
    bring(server, target, checksum=CHECKSUM)
    assert target.read_bytes() == CONTENT


def test_what_turns_out_corrupt_after_it_went_on_is_fetched_once_more_from_the_start(server, target):
    server.faults["/file"] = ["truncate", "503", "503"]
    refused(server, target, checksum=CHECKSUM)
    part = target.with_name(".data.bin.part")
    part.write_bytes(b"x" + part.read_bytes()[1:])
    bring(server, target, checksum=CHECKSUM)
    assert target.read_bytes() == CONTENT


def test_a_file_of_another_size_is_not_begun(server, target):
    message = refused(server, target, size=7)
    assert f"the file there has {len(CONTENT)} bytes, expected 7" in message


def test_a_file_of_unknown_length_needs_a_checksum(server, target):
    server.faults["/file"] = ["no length", "no length"]
    assert "does not tell how long the file is" in refused(server, target)
    bring(server, target, checksum=CHECKSUM)
    assert target.read_bytes() == CONTENT


def test_a_host_that_is_gone_is_told(target):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:\d+/file: the connection broke \(Connection refused\)"):
        download([f"http://127.0.0.1:{port}/file"], target, patience=HASTY)


def test_a_host_that_nobody_knows_is_told(target, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DownloadError, match=r"no such host, or no network \(Name or service not known\)"):
        download(["http://gone.example/file"], target, patience=HASTY)


def test_no_address_at_all_is_told(target):
    with pytest.raises(DownloadError, match="unknown url type: 'nonsense'"):
        download(["nonsense"], target, patience=HASTY)


def test_two_processes_do_not_write_one_file(server, target):
    target.parent.mkdir()
    with target.with_name(".data.bin.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DataError, match=r"another process is downloading .*data\.bin; wait for it"):
            bring(server, target)


def test_a_full_disk_is_told_before_the_download(server, target, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 99, 1))
    with pytest.raises(StorageError, match=r"has room for 0\.0 GB, but 0\.0 GB are to come; make room there"):
        bring(server, target)
