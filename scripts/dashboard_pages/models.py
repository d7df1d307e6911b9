"""Language models: calls, tokens and budgets."""

from __future__ import annotations

from .form import Dashboard, Panel, quantile

CALLS = "gen_ai_client_operation_duration_seconds"
MODEL = "gen_ai_provider_name, gen_ai_request_model"

MODELS = Dashboard(
    "models",
    "docket: models and cost",
    {
        "Calls to language models": [
            Panel(
                "Calls by model",
                "Failures carry their type.",
                "ops",
                {
                    "{{gen_ai_provider_name}} {{gen_ai_request_model}} {{error_type}}": (
                        f"sum by ({MODEL}, error_type) (rate({CALLS}_count[5m]))"
                    )
                },
            ),
            Panel(
                "Time to the first text, p99",
                "What somebody who waits for an answer feels.",
                "s",
                {
                    "{{gen_ai_provider_name}} {{gen_ai_request_model}}": quantile(
                        0.99, "gen_ai_client_operation_time_to_first_chunk_seconds", MODEL
                    )
                },
            ),
            Panel(
                "Time to the end of the stream, p99",
                "",
                "s",
                {"{{gen_ai_provider_name}} {{gen_ai_request_model}}": quantile(0.99, CALLS, MODEL)},
            ),
            Panel(
                "Tokens",
                "A second, by model, kind, and use of the provider's cache; what they cost stands in the ledger.",
                "short",
                {
                    "{{gen_ai_request_model}} {{gen_ai_token_type}}": (
                        "sum by (gen_ai_request_model, gen_ai_token_type) (rate(gen_ai_client_token_usage_sum[5m]))"
                    ),
                    "{{gen_ai_request_model}} cache {{cache}}": (
                        "sum by (gen_ai_request_model, cache) (rate(docket_model_input_tokens_total[5m]))"
                    ),
                },
            ),
            Panel(
                "Retries and fallbacks",
                "Calls made again at the same provider, and answers given by another.",
                "ops",
                {
                    "again {{gen_ai_provider_name}}": (
                        "sum by (gen_ai_provider_name) (rate(docket_model_retries_total[5m]))"
                    ),
                    "instead {{gen_ai_provider_name}}": (
                        "sum by (gen_ai_provider_name) (rate(docket_model_fallbacks_total[5m]))"
                    ),
                },
            ),
            Panel(
                "Providers left alone",
                "1 while a breaker is open.",
                "short",
                {"{{gen_ai_provider_name}}": "max by (gen_ai_provider_name) (docket_model_breaker_open)"},
            ),
        ],
        "Budgets": [
            Panel(
                "Refused by a budget, and calls that nobody settled",
                "Lost calls are charged in full.",
                "ops",
                {
                    "refused": "sum(rate(docket_budget_refusals_total[5m]))",
                    "lost": "sum(rate(docket_model_calls_lost_total[5m]))",
                },
                width=12,
            ),
        ],
    },
)
