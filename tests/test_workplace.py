"""The hidden folder a run is made in."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from recpref.workplace import OWNER, STATE, place_of, refuse_unwritable, run_at, state_of, workplace


def test_the_run_appears_only_when_everything_is_written(tmp_path):
    path = tmp_path / "model" / "abc-s1"
    with workplace(path) as place:
        (place / "file").write_text("content")
        assert not path.exists()
    assert (path / "file").read_text() == "content"
    assert [p.name for p in path.parent.iterdir()] == ["abc-s1"]
    assert not (path / OWNER).exists()


def test_a_second_run_replaces_the_first_whole(tmp_path):
    path = tmp_path / "run"
    for name in ("first", "second"):
        with workplace(path) as place:
            (place / name).write_text("")
    assert [p.name for p in path.iterdir()] == ["second"]
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_an_error_leaves_nothing_and_keeps_the_old_run(tmp_path):
    path = tmp_path / "run"
    with workplace(path) as place:
        (place / "old").write_text("")
    with pytest.raises(RuntimeError, match="broken"), workplace(path) as place:
        (place / "half").write_text("")
        raise RuntimeError("broken")
    assert [p.name for p in path.iterdir()] == ["old"]
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_an_error_keeps_a_training_state_and_the_next_start_says_so(tmp_path):
    path = tmp_path / "run"
    with pytest.raises(RuntimeError), workplace(path) as place:
        (place / STATE).write_text("hours of work")
        raise RuntimeError("broken")
    assert state_of(path) == place_of(path) / STATE
    with pytest.raises(ValueError, match=r"continue it with resume=.*run, or remove"), workplace(path):
        pass
    with workplace(path, resume=True) as place:
        assert (place / STATE).read_text() == "hours of work"


def test_what_is_said_to_continue_can_be_pasted(tmp_path):
    path = tmp_path / "my run"
    with pytest.raises(RuntimeError), workplace(path) as place:
        (place / STATE).write_text("hours of work")
        raise RuntimeError("broken")
    with pytest.raises(ValueError, match=r"continue it with 'resume=/.*/my run', or remove"), workplace(path):
        pass


def test_two_processes_do_not_share_a_place(tmp_path):
    path = tmp_path / "run"
    place = place_of(path)
    place.mkdir()
    (place / OWNER).write_text(str(os.getppid()))  # alive, and not us
    with pytest.raises(ValueError, match=f"is being made by process {os.getppid()}"), workplace(path):
        pass


def test_a_dead_owner_does_not_block(tmp_path):
    path = tmp_path / "run"
    place_of(path).mkdir()
    (place_of(path) / OWNER).write_text("999999999")
    with workplace(path) as place:
        (place / "file").write_text("")
    assert path.is_dir()


def test_a_read_only_folder_is_refused(read_only):
    with pytest.raises(PermissionError, match="model cannot be written to; say out=FOLDER"), workplace(read_only / "model" / "run"):
        pass
    with pytest.raises(PermissionError, match=f"{read_only} cannot be written to; say out=FILE"):
        refuse_unwritable(read_only / "recs.csv", "FILE")


@pytest.mark.parametrize("out", ["run", "model/run"])
def test_a_place_that_can_be_written_to_is_left_as_it_was(tmp_path, out):
    refuse_unwritable(tmp_path / out)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc").is_mount(), reason="Linux keeps no files in /proc, whoever asks")
@pytest.mark.parametrize("out", ["/proc/run", "/proc/model/run"])
def test_a_place_that_holds_no_files_is_refused(out):
    with pytest.raises(PermissionError, match="say out=FOLDER"), workplace(Path(out)):
        pass
    with pytest.raises(PermissionError, match="say out=FOLDER"):
        refuse_unwritable(Path(out))


def test_a_read_only_file_system_is_refused(tmp_path, monkeypatch):
    def refuse(self, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PermissionError, match="say out=FOLDER"), workplace(tmp_path / "model" / "run"):
        pass
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **where: refuse(*where.values()))
    with pytest.raises(PermissionError, match="say out=FOLDER"):
        refuse_unwritable(tmp_path / "model" / "run")


def test_a_file_where_the_folder_belongs_is_refused(tmp_path):
    (tmp_path / "model").write_text("content")
    with pytest.raises(PermissionError, match="say out=FOLDER"), workplace(tmp_path / "model" / "run"):
        pass
    with pytest.raises(PermissionError, match="say out=FOLDER"):
        refuse_unwritable(tmp_path / "model" / "run")
    assert (tmp_path / "model").read_text() == "content"


def test_a_full_disk_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=3 * 2**20))
    with pytest.raises(ValueError, match=r"has 3 MiB left, and a run needs at least 64; say out=FOLDER"), workplace(tmp_path / "run"):
        raise AssertionError("work began")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_keeps_a_training_state(tmp_path, monkeypatch):
    path = tmp_path / "run"
    place_of(path).mkdir()
    (place_of(path) / STATE).write_text("hours of work")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=0))
    with pytest.raises(ValueError, match="has 0 MiB left"), workplace(path, resume=True):
        pass
    assert state_of(path).read_text() == "hours of work"


def test_the_hidden_folder_of_a_run_stands_for_it(tmp_path):
    path = tmp_path / "12345678-s1"
    assert run_at(place_of(path)) == path
    assert run_at(path) == path
