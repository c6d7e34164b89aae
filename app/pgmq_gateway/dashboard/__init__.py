"""The web page: a client of the HTTP API, in a process of its own, that can do what the signed-in person's key can do.

What protects what:

- The key stays in this process' memory, in a session (sessions.py). The browser has a signed cookie that names the
  session, HttpOnly and SameSite=Strict. Nothing is written to disk: none of NiceGUI's storages is used.
- A session ends after an hour without a person's doing, after twelve hours, when its token expires, when the API
  refuses the key, and on signing out. Its key is forgotten, and its open pages go to the sign-in page.
- The link in the banner holds a code that opens one session, once, within an hour. It comes here through a pipe, like
  the key that it stands for, so that neither `ps` nor a log can show them.
- The gate (web/gate.py) stands before everything. The Host header must be a name of this machine or one that the
  operator has allowed: a page of a stranger whose name points here (DNS rebinding) is not answered. Requests that
  change something, and every web socket, must come from a page of this origin: no other page can use the cookie.
- A Content-Security-Policy lets nothing in from elsewhere, inline scripts only with the answer's own nonce, and no
  frame around the page. It has to allow eval and inline styles, which Vue's templates and Quasar need.
- What comes from a queue is shown as text. Slot templates are constants of ours, never made from data.
"""
