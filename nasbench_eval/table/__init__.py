"""The benchmark table: accuracies and costs of every cell in one Parquet file. Needs no torch."""

from nasbench_eval.table.locate import find_table
from nasbench_eval.table.schema import SCHEMA_VERSION, Key
from nasbench_eval.table.table import Table

__all__ = ["SCHEMA_VERSION", "Key", "Table", "find_table"]
