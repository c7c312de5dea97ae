"""app.py for servers without a lifespan: ready is when it is imported."""

import app

application = app.wsgi
app.ready()
