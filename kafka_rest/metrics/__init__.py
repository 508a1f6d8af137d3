"""What is counted: the table of metrics, and the cells that a worker counts in."""

from kafka_rest.metrics.cells import Cells, Row, Rows, SharedCells
from kafka_rest.metrics.table import TABLE, Kind, Metric

__all__ = ["TABLE", "Cells", "Kind", "Metric", "Row", "Rows", "SharedCells"]
