"""The responses dialect's answer object and its output items, out of chat answers."""

from __future__ import annotations

from typing import Any

from meliora.gateway.dialects.toolcalls import arguments_of
from meliora.gateway.dialects.translate.answers import first_choice, reasoning_of, renamed
from meliora.gateway.dialects.translate.crossing import Options, dicts, mapping, text
from meliora.gateway.dialects.translate.responses_to_chat import seal
from meliora.gateway.dialects.usage import read_usage, responses_usage
from meliora.telemetry.records import Usage

_ECHOED: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": None,
    "safety_identifier": None,
    "service_tier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Shell:
    """Makes the response object around its output: what the client asked for is given back in it."""

    def __init__(self, request: dict[str, Any], options: Options) -> None:
        echo = {name: request.get(name) for name in _ECHOED}
        self._echo = {name: value if value is not None else _ECHOED[name] for name, value in echo.items()}
        self._echo["tools"] = [{"parameters": None, "strict": None, **tool} for tool in dicts(self._echo["tools"])]
        self._options = options
        include = request.get("include")
        self.sealed = isinstance(include, list) and "reasoning.encrypted_content" in include
        """The client asked for reasoning that it can send back."""

    def response(self, head: dict[str, Any], output: list[dict[str, Any]], status: str) -> dict[str, Any]:
        """Give the object; `head` holds `id` and `model`, and `usage` and `finish` where they are known."""
        reason = _INCOMPLETE.get(head.get("finish") or "") if status == "incomplete" else None
        usage = head.get("usage")
        return {
            "id": head["id"],
            "object": "response",
            "created_at": self._options.created,
            "status": status,
            "background": False,
            "error": head.get("error"),
            "incomplete_details": {"reason": reason} if reason else None,
            "model": head.get("model") or "",
            "output": output,
            "store": False,
            "usage": responses_usage(usage) if usage is not None else None,
            **self._echo,
        }


def final_status(finish: Any) -> str:
    """`incomplete` where the answer was cut by a limit or a filter."""
    return "incomplete" if finish in ("length", "content_filter") else "completed"


def chat_to_responses_answer(body: dict[str, Any], request: dict[str, Any], options: Options) -> dict[str, Any]:
    """Translate a chat completion into a response. Raises `UpstreamBroken` where there is no choice."""
    choice, message = first_choice(body)
    shell = Shell(request, options)
    status = final_status(choice.get("finish_reason"))
    output = _thoughts(message, shell, options)
    parts: list[dict[str, Any]] = []
    if text(message.get("content")):
        parts.append(text_part(message["content"], message.get("annotations"), choice.get("logprobs")))
    if text(message.get("refusal")):
        parts.append({"type": "refusal", "refusal": message["refusal"]})
    if parts:
        output.append(message_item(options.new_id("msg_"), parts, status))
    output += [call_item(call, options) for call in dicts(message.get("tool_calls"))]
    usage = read_usage("chat", body.get("usage")) or Usage()
    head = {"id": renamed(body.get("id"), "resp_", options), "model": text(body.get("model")), "usage": usage}
    return shell.response({**head, "finish": choice.get("finish_reason")}, output, status)


def _thoughts(message: dict[str, Any], shell: Shell, options: Options) -> list[dict[str, Any]]:
    signed = dicts(message.get("_thinking"))
    if signed:
        return [
            reasoning_item(options.new_id("rs_"), text(block.get("thinking")), block if shell.sealed else None)
            for block in signed
        ]
    thought = reasoning_of(message)
    return [reasoning_item(options.new_id("rs_"), thought, None)] if thought else []


def reasoning_item(identity: str, thought: str, signed: dict[str, Any] | None) -> dict[str, Any]:
    """A reasoning item; signed thinking is sealed into it for the way back."""
    summary = [{"type": "summary_text", "text": thought}] if thought else []
    item: dict[str, Any] = {"id": identity, "type": "reasoning", "summary": summary}
    if signed is not None:
        item["encrypted_content"] = seal(signed)
    return item


def message_item(identity: str, parts: list[dict[str, Any]], status: str) -> dict[str, Any]:
    """A message item around its parts."""
    return {"id": identity, "type": "message", "role": "assistant", "status": status, "content": parts}


def text_part(words: str, annotations: Any = None, logprobs: Any = None) -> dict[str, Any]:
    """An `output_text` part, with the citations and log probabilities of a chat answer."""
    cited = [{"type": "url_citation", **mapping(one.get("url_citation"))} for one in dicts(annotations)]
    part: dict[str, Any] = {"type": "output_text", "text": words, "annotations": cited}
    part["logprobs"] = read_logprobs(mapping(logprobs).get("content"))
    return part


def read_logprobs(tokens: Any) -> list[dict[str, Any]]:
    """Log probabilities as responses write them: `bytes` is always a list."""
    return [
        {**token, "bytes": token.get("bytes") or [], "top_logprobs": read_logprobs(token.get("top_logprobs"))}
        if "top_logprobs" in token
        else {**token, "bytes": token.get("bytes") or []}
        for token in dicts(tokens)
    ]


def call_item(call: dict[str, Any], options: Options) -> dict[str, Any]:
    """A function or custom tool call item, finished."""
    identity = text(call.get("id")) or options.new_id("call_")
    if call.get("type") == "custom":
        custom = mapping(call.get("custom"))
        item = {"id": options.new_id("ctc_"), "type": "custom_tool_call", "call_id": identity}
        return {**item, "name": text(custom.get("name")), "input": text(custom.get("input"))}
    function = mapping(call.get("function"))
    item = {"id": options.new_id("fc_"), "type": "function_call", "status": "completed", "call_id": identity}
    return {**item, "name": text(function.get("name")), "arguments": arguments_of(call) or "{}"}
