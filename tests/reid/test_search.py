from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from reidpipe.errors import ConfigError, WeightsError

torch = pytest.importorskip("torch")

from reidpipe.reid.checkpoint import read_torch_file  # noqa: E402
from reidpipe.reid.models import build_osnet  # noqa: E402
from reidpipe.reid.search import Search, SearchConfig, load_search_config, search, temperature_at  # noqa: E402
from reidpipe.reid.searchnet import CANDIDATES, SearchNet  # noqa: E402
from reidpipe.reid.spec import OSNetSpec, get_spec  # noqa: E402

SMALL = OSNetSpec(width=0.125, streams=1, embedding=32)


def test_search_net_has_six_choices_and_passes_gradients_to_all() -> None:
    torch.manual_seed(0)
    net = SearchNet(SMALL).train()
    net(torch.randn(4, 3, 64, 32)).square().sum().backward()
    assert len(net.choices()) == 6
    for parameter in net.architecture_parameters():
        assert parameter.grad is not None
        assert (parameter.grad != 0).all()


def test_search_net_eval_equals_the_derived_child() -> None:
    torch.manual_seed(0)
    net = SearchNet(SMALL)
    wanted = ("both", "none", "inside", "outside", "none", "inside")
    with torch.no_grad():
        for block, norm in zip(net.choices(), wanted, strict=True):
            block.architecture[CANDIDATES.index(norm)] = 1.0
    spec = net.derive()
    assert spec.norms == wanted
    assert spec.stem_norm == "instance"
    child = build_osnet(spec).eval()
    state = {}
    for name, value in net.state_dict().items():
        if ".candidates." in name:
            before, after = name.split(".candidates.")
            number, rest = after.split(".", 1)
            block_norm = wanted[["conv2.0", "conv2.1", "conv3.0", "conv3.1", "conv4.0", "conv4.1"].index(before)]
            if CANDIDATES[int(number)] == block_norm:
                state[f"{before}.{rest}"] = value
        elif not name.endswith("architecture"):
            state[name] = value
    child.load_state_dict(state)
    x = torch.randn(2, 3, 64, 32)
    torch.testing.assert_close(net.eval()(x), child(x))


def test_search_net_low_temperature_makes_a_choice() -> None:
    torch.manual_seed(0)
    block = SearchNet(SMALL).choices()[0].train()
    with torch.no_grad():
        block.architecture.copy_(torch.tensor([-8.0, 8.0, -8.0, -8.0]))
    block.temperature = 0.05
    x = torch.randn(2, 8, 8, 8)
    torch.testing.assert_close(block(x), block.candidates[1](x), atol=1e-4, rtol=1e-4)


def test_search_net_saving_memory_changes_nothing() -> None:
    results = []
    for save_memory in (False, True):
        torch.manual_seed(0)
        net = SearchNet(SMALL, save_memory=save_memory).train()
        net(torch.randn(2, 3, 64, 32)).sum().backward()
        results.append([value.grad for value in net.parameters() if value.grad is not None])
    for plain, saved in zip(*results, strict=True):
        torch.testing.assert_close(plain, saved)


def config(root: Path, **changes: Any) -> SearchConfig:
    spec = root / "base.yaml"
    spec.write_text("width: 0.125\nstreams: 1\nembedding: 32\n")
    source = {"name": "market1501", "path": "people"}
    settings: dict[str, Any] = {
        "base": str(spec),
        "output": root / "out",
        "data": {"root": root, "cache": root / "cache", "height": 32, "width": 16, "sources": [source]},
        "batch": {"identities": 3, "images": 2},
        "height": 32,
        "width": 16,
        "epochs": 2,
    }
    return SearchConfig.model_validate({**settings, **changes})


@pytest.fixture
def people(tmp_path: Path) -> Path:
    folder = tmp_path / "people" / "bounding_box_train"
    folder.mkdir(parents=True)
    for person in range(4):
        for image in range(2):
            picture = np.full((16, 8, 3), 60 * person + image, dtype=np.uint8)
            cv2.imwrite(str(folder / f"{person:04d}_c{image}s1_000000_00.png"), picture)
    return tmp_path


def test_search_writes_a_child_that_trains(people: Path) -> None:
    rows: list[Any] = []
    first = search(config(people, mc_iter=2, accumulate=2), on_log=rows.append)
    assert first == get_spec(people / "out" / "child.yaml")
    assert [row["epoch"] for row in rows] == [0, 1]
    assert [row["images"] for row in rows] == [12, 24]
    assert set(rows[0]["weights"]) == {"conv2.0", "conv2.1", "conv3.0", "conv3.1", "conv4.0", "conv4.1"}
    build_osnet(first)(torch.randn(2, 3, 64, 32)).sum().backward()


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_search_trains_in_the_precision_of_the_recipe(
    people: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()
    forward = SearchNet.forward

    def watched(net: SearchNet, x: Any) -> Any:
        out = forward(net, x)
        seen.add(out.dtype)
        return out

    monkeypatch.setattr(SearchNet, "forward", watched)
    search(config(people, precision=precision))
    assert seen == {torch.bfloat16 if precision == "bf16" else torch.float32}
    first = json.loads((people / "out" / "log.jsonl").read_text().splitlines()[0])
    assert ("kernels" in first) == (precision == "bf16")


def test_search_budget_is_divided_into_the_epochs(people: Path) -> None:
    rows: list[Any] = []
    search(config(people, budget={"images": 24}, epochs=4), on_log=rows.append)
    assert [(row["epoch"], row["images"]) for row in rows] == [(0, 6), (1, 12), (2, 18), (3, 24)]


def test_search_goes_on_bit_exact(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"budget": {"images": 30}, "epochs": 5}
    search(config(people, output=people / "straight", **settings))
    update = Search._update

    def interrupted(self: Search, *arguments: Any) -> None:
        update(self, *arguments)
        if self._batches == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Search, "_update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search(config(people, output=people / "broken", **settings))
    monkeypatch.setattr(Search, "_update", update)
    rows: list[Any] = []
    search(config(people, output=people / "broken", **settings), on_log=rows.append)
    assert [row["epoch"] for row in rows] == [2, 3, 4]
    straight, broken = (read_torch_file(people / name / "search.pt")["net"] for name in ("straight", "broken"))
    assert [name for name in straight if not torch.equal(straight[name], broken[name])] == []


def test_search_refuses_the_checkpoint_of_another_search(people: Path) -> None:
    search(config(people, budget={"images": 6}))
    with pytest.raises(WeightsError, match="does not continue this search"):
        search(config(people, base="osnet_x0_25", budget={"images": 12}))


def test_search_temperature_is_multiplied_in_steps(tmp_path: Path) -> None:
    settings = config(tmp_path, epochs=120)
    found = [temperature_at(epoch, settings) for epoch in (0, 19, 20, 40, 60, 80, 119)]
    assert found == [10.0, 10.0, 5.0, 2.5, 1.25, 1.0, 1.0]


def test_search_recipe_of_the_repository_is_valid(repo_root: Path, tmp_path: Path) -> None:
    assert load_search_config(repo_root / "configs" / "reid" / "nas.yaml").init_temperature == 10.0
    (tmp_path / "bad.yaml").write_text("epoch: 3\n")
    with pytest.raises(ConfigError, match="epoch"):
        load_search_config(tmp_path / "bad.yaml")
