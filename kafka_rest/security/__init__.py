"""Who a client is and what it may do: users, tokens, certificates, rules. Knows no HTTP server.

Everything here that comes from a file is read at the start and again at SIGHUP (`authority`).
"""
