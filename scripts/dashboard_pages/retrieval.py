"""Documents on their way in, searches, and answers from them."""

from __future__ import annotations

from .form import Dashboard, Panel, quantile

HTTP = "http_server_request_duration_seconds"
ANSWERS = 'route="/v1/answers"'
INGESTION = 'kind="ingest_document"'

RETRIEVAL = Dashboard(
    "retrieval",
    "docket: retrieval and answers",
    {
        "Answers": [
            Panel(
                "Questions by status",
                "429: a budget or too many at once; 5xx are ours.",
                "reqps",
                {"{{status}}": f"sum by (status) (rate({HTTP}_count{{{ANSWERS}}}[5m]))"},
            ),
            Panel(
                "Time to the head of the answer",
                "Without streaming that is the whole answer.",
                "s",
                {
                    "p50 {{method}}": quantile(0.5, HTTP, "method", ANSWERS),
                    "p99 {{method}}": quantile(0.99, HTTP, "method", ANSWERS),
                },
            ),
            Panel(
                "Vectors of questions",
                "Remembered or computed; beginnings of prompts, too, where providers are asked.",
                "ops",
                {
                    "{{outcome}}": "sum by (outcome) (rate(docket_embedding_cache_total[5m]))",
                    "prompt {{outcome}}": "sum by (outcome) (rate(docket_prompt_prefix_cache_total[5m]))",
                },
            ),
        ],
        "Searches": [
            Panel(
                "Searches by status",
                "Of passages, by POST /v1/search; answers search, too, without a request of their own.",
                "reqps",
                {"{{status}}": f'sum by (status) (rate({HTTP}_count{{route="/v1/search"}}[5m]))'},
            ),
            Panel(
                "Stages of a search, p99",
                "Of which parts the time consists; reranking is asked for.",
                "s",
                {"{{stage}}": quantile(0.99, "docket_search_stage_seconds", "stage")},
            ),
            Panel(
                "Searches remembered",
                "Answered from what the same search found before, or not; stale: that is not there any more.",
                "ops",
                {"{{outcome}}": "sum by (outcome) (rate(docket_search_cache_total[5m]))"},
            ),
            Panel(
                "Time of a batch in the embedding model, p99",
                "For questions and for documents.",
                "s",
                {"{{lane}}": quantile(0.99, "docket_embedding_batch_seconds", "lane")},
            ),
        ],
        "Documents": [
            Panel(
                "Read",
                "Attempts to read a document, by outcome.",
                "ops",
                {"{{outcome}}": f"sum by (outcome) (rate(docket_job_attempts_total{{{INGESTION}}}[5m]))"},
            ),
            Panel(
                "Time of reading one, p99",
                "Parsing, cutting, embedding, publishing.",
                "s",
                {"{{kind}}": quantile(0.99, "docket_job_duration_seconds", "kind", INGESTION)},
            ),
            Panel(
                "Waiting to be read",
                "Documents, and for how long the oldest has waited.",
                "short",
                {
                    "documents": f"max(docket_jobs_waiting{{{INGESTION}}})",
                    "oldest, seconds": f"max(docket_jobs_oldest_age_seconds{{{INGESTION}}})",
                },
            ),
        ],
    },
)
