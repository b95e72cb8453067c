# SPDX-License-Identifier: Apache-2.0
"""The live page of `yolact-ros view`, and the server that feeds it; knows nothing of ROS.

In: newest values by name, put on a `Board` by whoever watches a node, in any thread. Out: one page,
and over a websocket what is new on the board, as fast as each browser asks for it.

Read board.py first, then server.py (who is served what, and when), guard.py (who is served at all)
and page.js (what the browser does); page.html and page.css are the rest of the page. aiohttp is
imported by server.py alone: requirements/view.txt.
"""
