"""Reports for people: the HTML report, figures, tables and the console summary."""
