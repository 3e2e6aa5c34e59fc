"""The index on disk, and models fetched from a server of our own: licences, hashes, hosts."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from luxscaler.errors import FetchError, WeightsError
from luxscaler.networks.build import build_network
from luxscaler.networks.rrdb import RRDBNetConfig
from luxscaler.weights.community import FetchedModel
from luxscaler.weights.model_fetch import chosen_by_user, fetch_model, load_index
from luxscaler.weights.model_index import find
from luxscaler.weights.store import load_network, scale_of
from tests.support.model_index import INDEX, IndexServer, index_server

CONFIG = RRDBNetConfig(scale=2, features=4, blocks=1, growth=2, steps=1)


@pytest.fixture
def server() -> Iterator[IndexServer]:
    with index_server() as served:
        yield served


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("checkpoint") / "model.pth"
    torch.manual_seed(1)
    torch.save({"params": build_network(CONFIG).state_dict()}, path)
    return path.read_bytes()


def get(
    server: IndexServer, name: str, folder: Path, *, licence: bool = False, force: bool = False
) -> FetchedModel:
    model = find(load_index(folder, server.index_url, refresh=True).models, name)
    reach = chosen_by_user(server.index_url)
    return fetch_model(model, folder, accept_licence=licence, force=force, reach=reach)


def left(folder: Path) -> set[str]:
    return {path.name for path in (folder / "community").glob("*")}


def test_a_fetched_model_is_loaded_by_its_name(
    server: IndexServer, checkpoint: bytes, tmp_path: Path
) -> None:
    server.add("2x-Made-Up", checkpoint, author=["a", "b"])
    made = get(server, "2x-made-up", tmp_path)
    assert made.path == tmp_path / "community" / "2x-Made-Up.pth"
    assert made.path.read_bytes() == checkpoint
    facts = json.loads(made.path.with_suffix(".json").read_text())
    assert (facts["licence"], facts["authors"], facts["sha256"]) == ("CC-BY-4.0", ["a", "b"], made.sha256)
    loaded = load_network("2x-MADE-UP", tmp_path)
    assert (loaded.config, loaded.name) == (CONFIG, "2x-Made-Up")
    assert scale_of("2x-Made-Up", tmp_path) == 2
    assert left(tmp_path) == {"2x-Made-Up.pth", "2x-Made-Up.json"}


def test_what_is_here_is_not_fetched_again_unless_damaged(
    server: IndexServer, checkpoint: bytes, tmp_path: Path
) -> None:
    server.add("2x-A", checkpoint)
    made = get(server, "2x-A", tmp_path)
    get(server, "2x-A", tmp_path)
    assert server.asked.count("/2x-A.pth") == 1
    get(server, "2x-A", tmp_path, force=True)
    assert server.asked.count("/2x-A.pth") == 2
    made.path.write_bytes(b"changed")
    with pytest.raises(WeightsError, match=r"was changed: SHA-256 .*; fetch it again"):
        load_network("2x-A", tmp_path)
    get(server, "2x-A", tmp_path)
    assert load_network("2x-A", tmp_path).digest == made.sha256
    made.path.with_suffix(".json").write_text("{")
    with pytest.raises(WeightsError, match="is damaged: fetch 2x-A again"):
        load_network("2x-A", tmp_path)
    get(server, "2x-A", tmp_path)
    assert load_network("2x-A", tmp_path).digest == made.sha256


@pytest.mark.parametrize("licence", ["CC-BY-NC-SA-4.0", None])
def test_a_licence_without_commercial_use_must_be_accepted(
    server: IndexServer, checkpoint: bytes, tmp_path: Path, licence: str | None
) -> None:
    server.add("2x-NC", checkpoint, license=licence)
    with pytest.raises(WeightsError, match=r"the licence of 2x-NC is .*: give --accept-licence"):
        get(server, "2x-NC", tmp_path)
    assert "/2x-NC.pth" not in server.asked
    assert get(server, "2x-NC", tmp_path, licence=True).path.is_file()


def test_another_file_than_the_indexs_is_refused_and_leaves_nothing(
    server: IndexServer, checkpoint: bytes, tmp_path: Path
) -> None:
    server.add("2x-A", checkpoint)
    server.files["/2x-A.pth"] = checkpoint[:-1] + b"x"
    with pytest.raises(WeightsError, match=r"2x-A cannot be fetched: .*SHA-256 of what came is .*; deleted"):
        get(server, "2x-A", tmp_path)
    server.files["/2x-A.pth"] = checkpoint + b"x"
    with pytest.raises(WeightsError, match="the limit is"):
        get(server, "2x-A", tmp_path)
    server.files["/2x-A.pth"] = b"<html>"
    server.types["/2x-A.pth"] = "text/html; charset=utf-8"
    with pytest.raises(WeightsError, match="a web page came, not a file"):
        get(server, "2x-A", tmp_path)
    assert left(tmp_path) == set()


@pytest.mark.parametrize("gives_parts", [True, False])
def test_a_download_that_is_cut_goes_on_where_it_was(
    server: IndexServer, checkpoint: bytes, tmp_path: Path, gives_parts: bool
) -> None:
    server.add("2x-A", checkpoint)
    share = server.most = len(checkpoint) // 8
    server.gives_parts = gives_parts
    with pytest.raises(WeightsError, match=f"it ended after .* of {len(checkpoint):,} bytes"):
        get(server, "2x-A", tmp_path)
    (part,) = left(tmp_path)
    done = (tmp_path / "community" / part).stat().st_size
    assert done == (5 * share if gives_parts else share)
    server.most = None
    assert get(server, "2x-A", tmp_path).path.read_bytes() == checkpoint
    assert server.ranges[-1] == f"bytes={done}-"
    assert left(tmp_path) == {"2x-A.pth", "2x-A.json"}


def test_what_is_left_of_another_file_is_thrown_away(
    server: IndexServer, checkpoint: bytes, tmp_path: Path
) -> None:
    server.add("2x-A", checkpoint)
    server.most = 1000
    server.gives_parts = False
    with pytest.raises(WeightsError, match="it ended after"):
        get(server, "2x-A", tmp_path)
    server.gives_parts, server.most = True, None
    server.files["/2x-A.pth"] = b"shorter"
    with pytest.raises(WeightsError, match="SHA-256 of what came is"):
        get(server, "2x-A", tmp_path)
    assert left(tmp_path) == set()
    server.files["/2x-A.pth"] = checkpoint
    assert get(server, "2x-A", tmp_path).path.read_bytes() == checkpoint


def test_the_next_address_is_tried(server: IndexServer, checkpoint: bytes, tmp_path: Path) -> None:
    urls = ["https://mega.nz/x", f"{server.base}/gone.pth", f"{server.base}/2x-A.pth"]
    server.add("2x-A", checkpoint, resource={"urls": urls})
    assert get(server, "2x-A", tmp_path).path.read_bytes() == checkpoint
    assert "/gone.pth" in server.asked


def test_what_cannot_be_fetched_says_why(server: IndexServer, checkpoint: bytes, tmp_path: Path) -> None:
    server.add("2x-Hand", checkpoint, resource={"urls": ["https://mega.nz/folder/a#b"]})
    with pytest.raises(
        WeightsError,
        match=r"host without a direct download \(mega.nz\): open https://mega.nz/folder/a#b in a",
    ):
        get(server, "2x-Hand", tmp_path)
    server.add("2x-No-Hash", checkpoint, resource={"sha256": None})
    with pytest.raises(WeightsError, match="2x-No-Hash has no SHA-256 in the index"):
        get(server, "2x-No-Hash", tmp_path)
    server.add("2x-Onnx", checkpoint, resource={"type": "onnx", "platform": "onnx"})
    with pytest.raises(WeightsError, match="2x-Onnx has no file for PyTorch in the index"):
        get(server, "2x-Onnx", tmp_path)
    server.add("2x-Inside", checkpoint)
    model = find(load_index(tmp_path, server.index_url, refresh=True).models, "2x-Inside")
    with pytest.raises(WeightsError, match="a loopback address"):
        fetch_model(model, tmp_path)


def test_the_index_is_looked_at_once_a_day(server: IndexServer, checkpoint: bytes, tmp_path: Path) -> None:
    server.add("2x-A", checkpoint)
    assert [model.id for model in load_index(tmp_path, server.index_url).models] == ["2x-A"]
    server.add("2x-B", checkpoint)
    assert len(load_index(tmp_path, server.index_url).models) == 1
    assert len(load_index(tmp_path, server.index_url, refresh=True).models) == 2
    assert server.asked.count(INDEX) == 2
    server.add("2x-C", checkpoint)
    tomorrow = time.time() + 25 * 3600
    assert len(load_index(tmp_path, server.index_url, now=lambda: tomorrow).models) == 3


def test_an_old_index_serves_with_a_notice_where_there_is_no_other(
    server: IndexServer, checkpoint: bytes, tmp_path: Path
) -> None:
    server.add("2x-A", checkpoint)
    load_index(tmp_path, server.index_url)
    copy = next(tmp_path.glob("models-*.json"))
    os.utime(copy, (time.time() - 3 * 86400,) * 2)
    server.files.pop(INDEX)
    index = load_index(tmp_path, server.index_url)
    assert [model.id for model in index.models] == ["2x-A"]
    assert len(index.notices) == 1
    assert index.notices[0].startswith("the index is 3 days old: ")
    copy.unlink()
    with pytest.raises(FetchError, match="HTTP 404"):
        load_index(tmp_path, server.index_url)
