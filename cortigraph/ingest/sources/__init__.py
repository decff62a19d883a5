"""Where a batch job's records come from: files of several formats and tables from Python, all read as typed columns.

spec        what a user writes, and the sources that it makes: `SourceSpec`, `open_sources`
base        what every source does, and what it gives: `Source`, `Block`
delimited, json_lines, json_whole, parquet, tables      the sources
types       the types of columns; cells, values and arrays make those from text, Python values and Arrow data
"""
