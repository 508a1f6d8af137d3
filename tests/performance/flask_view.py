"""Baseline: a view of Flask that does nothing, answering as much as a produce request is answered.

Served by stock gunicorn it is what any proxy on Flask pays before its first own line.
"""

from flask import Flask, Response, request

from tests.performance.answers import produce_answer

app = Flask(__name__)


@app.post("/topics/<topic>")
def produce(topic: str) -> Response:
    """Read the body, count its records, look at none."""
    records = request.get_data().count(b'"value"')
    return Response(produce_answer(records), content_type="application/vnd.kafka.v2+json")
