"""librdkafka's mock cluster through ctypes: declarations only.

The library inside the confluent-kafka wheel exports these functions; a symbol look-up in its
extension module finds them in the library that it is linked with, whatever the wheel calls that.
"""

import ctypes as c
from typing import Any

from confluent_kafka import cimpl

_library = c.CDLL(cimpl.__file__)


def _function(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(_library, name)
    function.restype, function.argtypes = result, list(arguments)
    return function


_POINTER, _TEXT, _INT, _BYTES = c.c_void_p, c.c_char_p, c.c_int, c.c_size_t
_PARTITION, _BROKER, _API = c.c_int32, c.c_int32, c.c_int16

conf_new = _function("rd_kafka_conf_new", _POINTER)
conf_set = _function("rd_kafka_conf_set", _INT, _POINTER, _TEXT, _TEXT, _TEXT, _BYTES)
client_new = _function("rd_kafka_new", _POINTER, _INT, _POINTER, _TEXT, _BYTES)
client_destroy = _function("rd_kafka_destroy", None, _POINTER)

_PREFIX = "rd_kafka_mock_"
cluster_new = _function(_PREFIX + "cluster_new", _POINTER, _POINTER, _INT)
cluster_destroy = _function(_PREFIX + "cluster_destroy", None, _POINTER)
bootstraps = _function(_PREFIX + "cluster_bootstraps", _TEXT, _POINTER)
set_controller = _function(_PREFIX + "set_controller_id", _INT, _POINTER, _BROKER)

topic_create = _function(_PREFIX + "topic_create", _INT, _POINTER, _TEXT, _INT, _INT)
topic_delete = _function(_PREFIX + "topic_delete", _INT, _POINTER, _TEXT)
topic_set_error = _function(_PREFIX + "topic_set_error", None, _POINTER, _TEXT, _INT)
partition_leader = _function(
    _PREFIX + "partition_set_leader", _INT, _POINTER, _TEXT, _PARTITION, _BROKER
)
coordinator_set = _function(_PREFIX + "coordinator_set", _INT, _POINTER, _TEXT, _TEXT, _BROKER)

broker_down = _function(_PREFIX + "broker_set_down", _INT, _POINTER, _BROKER)
broker_up = _function(_PREFIX + "broker_set_up", _INT, _POINTER, _BROKER)
broker_rtt = _function(_PREFIX + "broker_set_rtt", _INT, _POINTER, _BROKER, _INT)
broker_address = _function(_PREFIX + "broker_set_host_port", None, _POINTER, _BROKER, _TEXT, _INT)

push_errors = _function(
    _PREFIX + "push_request_errors_array", None, _POINTER, _API, _BYTES, c.POINTER(_INT)
)
clear_errors = _function(_PREFIX + "clear_request_errors", None, _POINTER, _API)
# Variadic: the pairs or codes behind the fixed arguments are given as c_int.
push_error_rtts = _function(
    _PREFIX + "broker_push_request_error_rtts", _INT, _POINTER, _BROKER, _API, _BYTES
)
push_partition_errors = _function(
    _PREFIX + "partition_push_request_errors", _INT, _POINTER, _TEXT, _PARTITION, _API, _BYTES
)

rebalance_delay = _function(_PREFIX + "group_initial_rebalance_delay_ms", None, _POINTER, c.c_int32)
group_heartbeat = _function(
    _PREFIX + "set_group_consumer_heartbeat_interval_ms", None, _POINTER, _INT
)
group_session = _function(_PREFIX + "set_group_consumer_session_timeout_ms", None, _POINTER, _INT)
