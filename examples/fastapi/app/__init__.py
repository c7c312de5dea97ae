"""An agent: a local model, a language model behind an API, and a database."""
