"""What a service answers: scores as in Python, whatever the format, errors as JSON, metrics."""

import base64
import io
import json
import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

import anogan
from anogan import ServiceLimits
from anogan.serving.batching import Batcher
from anogan.serving.refusals import Refused

from .conftest import fit, served, table

BEARER = "a-token"
JSON = {"content-type": "application/json"}
NEW = table(12, seed=1)
ROW = {"amount": 5.0, "size": "small", "count": 2, "when": "2024-01-02T10:00:00"}


def records(frame):
    return json.loads(frame.to_json(orient="records", date_format="iso"))


def scores_of(response):
    assert response.status_code == 200, response.text
    return [row["score"] for row in response.json()["rows"]]


def test_json_csv_and_parquet_score_as_in_python(client, detector):
    new = NEW.copy()
    new.loc[3, "size"], new.loc[4, "amount"] = "huge", np.nan
    expected = detector.score_table(new)
    parquet = io.BytesIO()
    new.to_parquet(parquet)
    bodies = [
        {"json": {"rows": records(new)}},
        {"json": records(new)},
        {"content": new.to_csv(index=False), "headers": {"content-type": "text/csv"}},
        {"content": parquet.getvalue(), "headers": {"content-type": "application/vnd.apache.parquet"}},
        {"files": {"file": ("new.csv", new.to_csv(index=False, sep=";"))}},
    ]
    for body in bodies:
        response = client.post("/score", params={"model": "rows"}, **body)
        assert_array_equal(scores_of(response), expected["score"])
        rows = response.json()["rows"]
        assert [row["flag"] for row in rows] == expected["flag"].tolist()
        assert [row["p_value"] for row in rows] == expected["p_value"].tolist()
        assert [",".join(row["unseen"]) for row in rows] == expected["unseen"].fillna("").tolist()


def test_flagged_rows_have_reasons(client, detector):
    far = NEW.assign(amount=9999.0)
    answer = client.post("/score", params={"model": "rows", "reasons": 2}, json={"rows": records(far)}).json()
    expected = detector.reasons(far, 2)
    found = [reason["text"] for row in answer["rows"] for reason in row["reasons"]]
    assert found == expected["text"].tolist()
    assert "beyond the range of training" in answer["notes"][0]


def test_rows_of_a_model_of_an_array(client, folder):
    X = np.random.default_rng(1).normal(size=(4, 3))
    expected = anogan.load(folder / "vector.anogan", device="cpu").anomaly_score(X)
    assert_array_equal(scores_of(client.post("/score?model=vector", json={"rows": X.tolist()})), expected)
    refused = client.post("/score?model=vector", json={"rows": [[1, 2]]})
    assert (refused.status_code, refused.json()["error"]["message"]) == (422, "Row 0 has 2 values; needed are 3.")


@pytest.mark.parametrize("number", ["9" * 309, "-" + "9" * 401, "1e400"])
def test_a_number_beyond_floats_makes_its_own_row_unusable(client, number):
    good = json.dumps(ROW)
    vectors = f'{{"rows":[[{number},1,1],[1,1,1]]}}'
    table = f'{{"rows":[{good.replace("5.0", number)},{good}]}}'
    for model, content, status in [
        ("vector", vectors, "infinite value in column 0"),
        ("rows", table, "infinite value in 'amount'"),
    ]:
        found = client.post(f"/score?model={model}", content=content, headers=JSON).json()["rows"]
        assert [row["status"] for row in found] == [status, "ok"]
        assert found[0]["score"] is None


def test_a_number_of_thousands_of_digits_is_refused(client):
    refused = client.post("/score?model=vector", content=f'{{"rows":[[{"9" * 5000},1,1]]}}', headers=JSON)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "json")


def unscored(client, model):
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f'anogan_unscored_total{{model="{model}"'))


def test_rows_that_cannot_be_scored_are_counted_however_they_are_sent(client, folder):
    bad = ROW | {"amount": "abc"}
    before = unscored(client, "rows")
    assert client.post("/score?model=rows", json={"rows": [bad, ROW]}).status_code == 200
    assert unscored(client, "rows") == before + 1
    for rows in ([bad], [bad, bad]):
        assert client.post("/score?model=rows", json={"rows": rows}).status_code == 422
    assert unscored(client, "rows") == before + 4
    broken = {"file": ("a.png", b"\x89PNG broken", "image/png")}
    before = unscored(client, "pictures")
    assert client.post("/score?model=pictures", files=broken).status_code == 422
    assert unscored(client, "pictures") == before + 1


def test_pictures_have_scores_and_maps_and_what_cannot_be_read_a_status(client, folder):
    files = [folder / f"{number}.png" for number in (12, 13)]
    expected = anogan.load(folder / "pictures.anogan", device="cpu").anomaly_score(anogan.ImageFolder(files, size=16))
    uploads = [("files", (file.name, file.read_bytes())) for file in files]
    uploads.insert(1, ("files", ("broken.png", b"no picture")))
    answer = client.post("/score", params={"model": "pictures", "maps": True}, files=uploads)
    one, broken, two = answer.json()["rows"]
    np.testing.assert_allclose([one["score"], two["score"]], expected, rtol=1e-6)
    assert (broken["file"], broken["score"]) == ("broken.png", None)
    assert broken["status"].startswith("cannot be read")
    drawn = Image.open(io.BytesIO(base64.b64decode(one["map"].removeprefix("data:image/png;base64,"))))
    assert drawn.size == (24, 24)
    raw = client.post("/score?model=pictures", content=files[0].read_bytes(), headers={"content-type": "image/png"})
    np.testing.assert_allclose(scores_of(raw), one["score"], rtol=1e-6)


def bomb(side):
    buffer = io.BytesIO()
    Image.new("L", (side, side)).save(buffer, "PNG")
    return buffer.getvalue()


def rows(*values):
    return json.dumps({"rows": list(values)})


BAD = [
    ("application/json", b"", 400, "json", None),
    ("application/json", b"\xff\xfe", 400, "json", None),
    ("application/json", b"[" * 15_000, 400, "json", None),
    ("application/json", b'{"rows": [{"amount": NaN}]}', 400, "json", None),
    ("application/json", b'{"rows": [{"amount": 1, "amount": 2}]}', 400, "json", None),
    ("application/json", b'{"rows": [{"amount": ' + b"9" * 5000 + b"}]}", 400, "json", None),
    ("application/json", b"7", 422, "input", None),
    ("application/json", rows(), 422, "input", None),
    ("application/json", rows([1, 2]), 422, "input", None),
    ("application/json", rows({}), 422, "input", None),
    ("application/json", b'{"rows": [], "more": 1}', 422, "input", None),
    ("application/json", rows({"amount": 1.0, "size": "small", "count": 2}), 422, "input", "when"),
    ("application/json", rows(ROW | {"other": 1}), 422, "input", "other"),
    ("application/json", rows(ROW | {"amount": "much"}), 422, "input", "amount"),
    ("application/json", rows(ROW | {"amount": "1,234"}), 422, "input", "amount"),
    ("application/json", rows(ROW | {"amount": {"a": 1}}), 422, "input", "amount"),
    ("application/json", rows(ROW, ROW | {"amount": [1]}), 422, "input", "amount"),
    ("application/json", rows(ROW | {"amount": 1e999}).replace("Infinity", "1e999"), 422, "input", "amount"),
    ("application/json", rows(ROW | {"when": "soon"}), 422, "input", "when"),
    ("application/json", rows(*[ROW] * 51), 413, "rows", None),
    ("text/csv", b"", 422, "input", None),
    ("text/csv", b"amount,size\n1,small\n", 422, "input", "count"),
    ("text/csv", b"\x00\x01\x02" * 50, 422, "input", "amount"),
    ("text/csv", NEW.sample(60, replace=True, random_state=0).to_csv(index=False), 413, "rows", None),
    ("application/vnd.apache.parquet", b"PAR1 nothing PAR1", 422, "input", None),
    ("application/x-ndjson", b"{broken\n", 422, "input", None),
    ("text/plain", b"1", 415, "type", None),
    ("multipart/form-data; boundary=x", b"--x\r\nnonsense", 400, "form", None),
    ("multipart/form-data", b"", 400, "form", None),
    ("image/png", b"1", 422, "input", None),
    ("application/json", b" " * 20_001, 413, "bytes", None),
]


@pytest.fixture(scope="module")
def strict(folder):
    with served(folder / "rows.anogan", limits=ServiceLimits(rows=50, bytes=20_000, pixels=10_000)) as client:
        yield client


@pytest.mark.parametrize(("media", "body", "status", "code", "column"), BAD)
def test_a_bad_body_is_one_json_error(strict, media, body, status, code, column):
    response = strict.post("/score", content=body, headers={"content-type": media})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["column"]) == (status, code, column), error
    assert "Traceback" not in response.text
    assert "/tmp" not in response.text
    assert "--" not in error["message"]  # no advice for the shell
    assert strict.get("/health").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/score", 405),
        ("POST", "/score?reasons=-1", 422),
        ("POST", "/score?model=row", 404),
        ("GET", "/../../etc/passwd", 404),
    ],
)
def test_what_is_not_there_is_said_as_json(strict, method, path, status):
    response = strict.request(method, path, content=rows(ROW), headers=JSON)
    assert response.status_code == status
    assert set(response.json()["error"]) == {"code", "message", "column"}


def test_a_row_that_cannot_be_scored_does_not_stop_the_others(strict):
    answer = strict.post("/score", json={"rows": [ROW, ROW | {"amount": "much"}]}).json()
    good, bad = answer["rows"]
    assert good["status"] == "ok"
    assert (bad["score"], bad["flag"], bad["status"]) == (None, None, "'much' in 'amount' is not a number")


def test_large_pictures_and_compressed_bodies_are_refused(folder):
    with served(folder / "pictures.anogan", limits=ServiceLimits(pixels=10_000)) as client:
        png = {"content-type": "image/png"}
        large = client.post("/score", content=bomb(101), headers=png)
        assert (large.status_code, large.json()["error"]["code"]) == (413, "pixels")
        assert client.post("/score", content=bomb(100), headers=png).status_code == 200
        packed = client.post("/score", content=b"1", headers=png | {"content-encoding": "gzip"})
        assert (packed.status_code, packed.json()["error"]["code"]) == (415, "type")


def test_a_large_upload_is_refused_before_it_is_sent(strict):
    with socket.create_connection(("127.0.0.1", strict.base_url.port), timeout=20) as connection:
        head = f"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: {10**8}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_a_body_that_does_not_arrive_is_given_up(folder):
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 100\r\n\r\na"
    with (
        served(folder / "rows.anogan", limits=ServiceLimits(seconds=0.3)) as client,
        socket.create_connection(("127.0.0.1", client.base_url.port), timeout=20) as connection,
    ):
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")


def test_the_token_guards_all_but_the_page_and_the_probes(folder):
    with served(folder / "rows.anogan", token=BEARER) as client:
        assert [client.get(path).status_code for path in ("/", "/health", "/ready")] == [200, 200, 200]
        for path in ("/model", "/models", "/metrics"):
            refused = client.get(path, headers={"Authorization": "Bearer wrong"})
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert client.get(path, headers={"Authorization": f"Bearer {BEARER}"}).status_code == 200
        assert client.post("/score", content=b"never read", headers=JSON).status_code == 401


def test_requests_at_the_same_time_get_their_own_scores(client, detector):
    new = table(160, seed=2)
    expected = detector.anomaly_score(new)

    def ask(number):
        row = records(new[number : number + 1])
        if number % 10 == 0:
            row[0]["count"] = "several"
            return client.post("/score?model=rows", json={"rows": row}).status_code
        return scores_of(client.post("/score?model=rows", json={"rows": row}))[0]

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(ask, range(len(new))))
    assert found == [422 if number % 10 == 0 else score for number, score in enumerate(expected)]


class Broken:
    """A model whose scores fail for negative rows, and which waits until it may go on."""

    def __init__(self):
        self.may_go_on, self.sizes = threading.Event(), []
        self.detector = self

    def score_part(self, X):
        assert self.may_go_on.wait(20)
        self.sizes.append(len(X))
        if (X < 0).any():
            raise ValueError("negative")
        return X[:, 0]


def test_a_failing_request_does_not_affect_its_batch_and_too_many_are_refused():
    model, batcher = Broken(), Batcher(waiting=3)
    first = batcher.score(model, np.zeros((1, 1)))
    end = time.monotonic() + 20
    while len(batcher) and time.monotonic() < end:
        time.sleep(0.001)
    waiting = [batcher.score(model, np.full((2, 1), value)) for value in (1.0, -1.0, 3.0)]
    with pytest.raises(Refused, match="wait already"):
        batcher.score(model, np.zeros((1, 1)))
    model.may_go_on.set()
    assert first.result(20)[0].tolist() == [0]
    assert waiting[0].result(20)[0].tolist() == [1, 1]
    assert waiting[2].result(20)[0].tolist() == [3, 3]
    with pytest.raises(ValueError, match="negative"):
        waiting[1].result(20)
    assert model.sizes[:2] == [1, 6]
    batcher.close()


def test_a_model_is_exchanged_without_losing_a_request(folder, tmp_path, detector):
    path = tmp_path / "m.anogan"
    shutil.copy(folder / "rows.anogan", path)
    other = fit(table(150), random_state=5)
    expected = {detector.anomaly_score(NEW[:1])[0], other.anomaly_score(NEW[:1])[0]}
    found, ends = [], threading.Event()
    with served(path) as client:

        def ask():
            while not ends.is_set():
                found.append(scores_of(client.post("/score", json={"rows": records(NEW[:1])}))[0])

        asking = threading.Thread(target=ask)
        asking.start()
        before = client.get("/model").json()["sha256"]
        other.save(path)
        end = time.monotonic() + 30
        while client.get("/model").json()["sha256"] == before and time.monotonic() < end:
            time.sleep(0.05)
        path.write_bytes(b"no model")
        while not client.get("/ready").json()["failures"] and time.monotonic() < end:
            time.sleep(0.05)
        ends.set()
        asking.join(30)
        assert "m.anogan" in client.get("/ready").json()["failures"]["m"]
        assert client.post("/score", json={"rows": records(NEW[:1])}).status_code == 200
    assert set(found) == expected


def test_metrics_count_rows_and_tell_drift(folder):
    with served(folder / "rows.anogan") as client:
        far = records(pd.concat([NEW] * 4).assign(amount=99999.0))
        client.post("/score", json={"rows": far})
        client.post("/score", content=b"", headers=JSON)
        end = time.monotonic() + 20
        while client.get("/model").json()["drift"] is None or "drift{" not in client.get("/metrics").text:
            assert time.monotonic() < end
            time.sleep(0.1)
        lines = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[0] != "#")
        verdict = client.get("/model").json()["drift"]
    assert lines['anogan_rows_total{model="rows"}'] == "48.0"
    assert lines['anogan_requests_total{path="/score",status="400"}'] == "1.0"
    assert float(lines['anogan_request_seconds_count{path="/score"}']) == 2
    assert lines['anogan_p_value_bucket{le="1.0",model="rows"}'] == "48.0"
    assert verdict["rows"] == 48
    assert lines['anogan_drift{model="rows",verdict="risen"}'] == "1.0" or "risen" not in verdict["verdict"]


def test_openapi_has_an_example_that_can_be_scored(client):
    document = client.get("/openapi.json").json()
    examples = document["paths"]["/score"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    assert set(examples) == {"rows", "vector"}
    for name, example in examples.items():
        scores_of(client.post("/score", params={"model": name}, json=example["value"]))
    assert {"/score", "/model", "/models", "/health", "/ready", "/metrics"} == set(document["paths"])


@pytest.mark.slow
def test_an_exported_model_is_served_too(folder, tmp_path, detector):
    pytest.importorskip("onnxruntime")
    detector.to_onnx(tmp_path / "exported.onnx")
    with served(tmp_path / "exported.onnx") as client:
        found = scores_of(client.post("/score", json={"rows": records(NEW)}))
        assert client.get("/model").json()["detector"] == "ganomaly"
        refused = client.post("/score?reasons=2", json={"rows": records(NEW.assign(amount=9e9))})
    np.testing.assert_allclose(found, detector.anomaly_score(NEW), rtol=1e-4, atol=1e-4)
    assert (refused.status_code, "gives no reasons" in refused.text) == (422, True)
