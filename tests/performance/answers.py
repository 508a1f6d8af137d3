"""The answer to a produce request, made without producing: what the baselines send."""

import json
from functools import lru_cache


@lru_cache(maxsize=64)
def produce_answer(records: int) -> bytes:
    """An answer of the size that so many records get from a proxy."""
    offset = {"partition": 0, "offset": 1234567, "error_code": None, "error": None}
    answer = {"offsets": [offset] * records, "key_schema_id": None, "value_schema_id": None}
    return json.dumps(answer, separators=(",", ":")).encode()
