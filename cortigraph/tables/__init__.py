"""Files of several formats and tables from Python, read as blocks of typed columns: by jobs, scenes and predictions.

spec        what a user writes, and the sources that it makes: `SourceSpec`, `open_sources`
base        what every source does, and what it gives: `Source`, `Block`
delimited, json_lines, json_whole, parquet, frames      the sources
types       the types of columns; cells, values and arrays make those from text, Python values and Arrow data
rejects     records that can't be used, to be mended
"""
