"""A web page that computes a language model: it reads what is typed, and writes on.

``document`` puts the page together from ``page.html``, ``page.css`` and the scripts ``network.js``
(the equations), ``text.js`` (symbols and text), ``reader.js`` (surprisal, drawing) and ``page.js``
(what is on the screen). ``contents`` is the model in it. ``words`` says what the model is.
"""
