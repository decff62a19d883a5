"""Files of several formats and tables from Python, read as blocks of typed columns: by jobs, scenes and predictions.

table_spec  how a table is to be read: `TableSpec`, for whoever names one
spec        the sources that this makes: `SourceSpec` and `open_sources` of a job, `open_table` of one file
base        what every source does, and what it gives: `Source`, `Block`
names       how a column is found by the name that somebody writes
delimited, json_lines, json_whole, parquet, frames      the sources
types       the types of columns; cells, values and arrays make those from text, Python values and Arrow data
written     columns as text: `read_texts`, and what keys are made of
rejects     records that can't be used, to be mended
"""
