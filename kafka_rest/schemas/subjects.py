"""Under which subject a schema is registered: the name strategies.

They are named as the Java classes of the reference's serializers, without their package.
"""

from collections.abc import Callable
from typing import NamedTuple


class NameStrategy(NamedTuple):
    """Makes a subject of topic, side (`key` or `value`) and the name of the schema's record."""

    subject: Callable[[str, str, str], str]
    by_record: bool


STRATEGIES = {
    "TopicNameStrategy": NameStrategy(lambda topic, side, _: f"{topic}-{side}", by_record=False),
    "RecordNameStrategy": NameStrategy(lambda _topic, _side, record: record, by_record=True),
    "TopicRecordNameStrategy": NameStrategy(
        lambda topic, _side, record: f"{topic}-{record}", by_record=True
    ),
}
