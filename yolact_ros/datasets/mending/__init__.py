# SPDX-License-Identifier: Apache-2.0
"""Errors of annotation files: the content of a file goes in, the mended set and its problems out.

`problems.examine` puts it together. `causes` lists what can be wrong, and what is done about it;
`fields` reads ids and numbers in their many forms. `categories`, `images` (and `missing`, which
looks for pictures) and `annotations` go through one list of the file each. `foreign` recognises
files of other formats. `completion` adds what other tools want.
"""
