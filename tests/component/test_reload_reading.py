"""Reading the folder's files, and deciding what runs by what they say."""

from dataclasses import replace

from edge.app.decision import Reading, decide
from edge.app.reloading import contents_of, read
from edge.errors import Problem
from edge.pipeline import compile_pipeline
from edge.yamlfile import MAX_BYTES
from tests.backroom import ENVIRON, PIPELINE


def test_what_is_compiled_is_what_was_read_whatever_stands_there_by_now(tmp_path):
    file = tmp_path / "klaviyo.yaml"
    file.write_text("name: [")
    reading = read(file, PIPELINE.encode(), ENVIRON)
    assert reading.pipeline is not None
    assert (reading.pipeline.text, reading.problems) == (PIPELINE, ())


def test_a_file_that_is_no_text_is_refused_with_the_place(tmp_path):
    [problem] = read(tmp_path / "klaviyo.yaml", b"name: a\nb: \xff", ENVIRON).problems
    assert problem.place == f"{tmp_path}/klaviyo.yaml:2:4"


def test_no_more_is_read_of_a_file_than_could_be_compiled(tmp_path):
    with (tmp_path / "huge.yaml").open("wb") as huge:
        huge.truncate(100 * MAX_BYTES)
    assert contents_of(tmp_path) == {"huge.yaml": bytes(MAX_BYTES + 1)}


def test_another_integration_keeps_what_ran():
    runs = compile_pipeline(PIPELINE, "klaviyo.yaml", ENVIRON)
    other = replace(runs, integration="another-vendor", hash="0" * 16)
    decision = decide({"klaviyo.yaml": Reading(b"", other)}, {"klaviyo.yaml": runs}, {"klaviyo": "klaviyo-events-api"})
    what = "'another-vendor' is not what 'klaviyo' delivers to, which is klaviyo-events-api"
    problem = Problem("klaviyo.yaml", 0, "integration", f"{what}; accepted is a new name for another destination")
    assert decision.pipelines == {"klaviyo.yaml": runs}
    assert decision.problems == {"klaviyo.yaml": (problem,)}
