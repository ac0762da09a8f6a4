"""Systems outside, all optional: each needs an extra, and is imported only where it is switched on.

otlp    recorded calls to an OpenTelemetry collector, as spans and metrics
openfeature   flags for applications that ask through OpenFeature's SDK
genai   a recorded call in the `gen_ai.*` conventions, without OpenTelemetry itself
"""
