"""The web page: a client of the HTTP API, in its own process, limited to what the signed-in key may do.

Protection:

- The key stays in this process' memory, in a session (sessions.py). The browser has a random cookie that names the
  session, HttpOnly and SameSite=Strict. Of an embedded database, the data directory has the keys of sessions, each
  encrypted with its cookie (kept.py). Nothing else is written to disk: none of NiceGUI's storages is used.
- A session ends after an hour without user activity, after twelve hours, when its token expires, when the API rejects
  the key, and on signing out. The key is then forgotten, and open pages go to the sign-in page.
- A sign-in link has a code that opens one session, once, within an hour. The key is in a file of the data directory,
  encrypted with the code.
- The gate (web/gate.py) checks every request first. The Host header must be a name of this machine or an allowed one,
  which defeats DNS rebinding. Requests that change something, and every WebSocket, must come from a page of this
  origin, so that no other site can use the cookie.
- A Content-Security-Policy allows resources of this origin only, inline scripts only with the response's nonce, and no
  framing. It has to allow eval and inline styles, which Vue's templates and Quasar need.
- Message content is shown as text. Slot templates are constants, never made from data.
"""
