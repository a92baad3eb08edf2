"""Prompts: templates from YAML files, passages made harmless and cut to fit, messages ready to send.

    template = load_template("rankgpt")                                   # or a file of your own
    messages = render(template, "why is the sky blue", ["Rayleigh ...", "Paint ..."])

A passage is data: `neutralise` sees to it that it cannot forge an identifier or end its turn. `fit` and `Prompter`
cut passages until prompt and answer fit a context, and say what they cut.
"""

from listwise.prompting.fitting import Overhead
from listwise.prompting.loading import check, describe, load_template, template_names
from listwise.prompting.neutralise import neutralise
from listwise.prompting.orders import addresses_the_model
from listwise.prompting.prompter import (
    Cut,
    Prompter,
    RequestPrompts,
    Space,
    WindowPrompt,
    fit,
    prompt_sha256,
    render,
    rough_count,
)
from listwise.prompting.template import ContentRules, Template

__all__ = [
    "ContentRules",
    "Cut",
    "Overhead",
    "Prompter",
    "RequestPrompts",
    "Space",
    "Template",
    "WindowPrompt",
    "addresses_the_model",
    "check",
    "describe",
    "fit",
    "load_template",
    "neutralise",
    "prompt_sha256",
    "render",
    "rough_count",
    "template_names",
]
