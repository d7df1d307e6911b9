"""The parsers that docket brings along: PDF, HTML, Markdown, text, DOCX."""
