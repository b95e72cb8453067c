# SPDX-License-Identifier: Apache-2.0
"""The style of all pages, as CSS."""

STYLE = """
:root { --ink: #1f2933; --soft: #52606d; --line: #e4e7eb; --pale: #f5f7fa; --blue: #2f6fb5; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 1.7rem; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 44px 0 10px; }
p { margin: 0 0 12px; max-width: 75ch; }
.soft, caption, figcaption { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); gap: 12px;
  margin: 22px 0; }
.card { background: var(--pale); border-radius: 10px; padding: 12px 16px; }
.card b { display: block; font-size: 1.6rem; line-height: 1.3; }
.card span { color: var(--soft); font-size: .85rem; }
.notice { background: #fff8e1; border-left: 4px solid #f0b429; border-radius: 4px;
  padding: 10px 14px; margin: 12px 0; max-width: none; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 10px; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { color: var(--soft); font-weight: 600; font-size: .85rem; }
td.bar { min-width: 150px; width: 34%; }
.track { display: flex; align-items: center; gap: 10px; }
.track i { flex: 1; height: 10px; border-radius: 5px; background: var(--line); overflow: hidden; }
.track i::before { content: ""; display: block; height: 100%; width: var(--part);
  background: var(--blue); border-radius: 5px; }
.track span { min-width: 3.2em; }
.track i.none::before { display: none; }
img { max-width: 100%; height: auto; display: block; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr));
  gap: 12px 32px; align-items: start; }
.matrix { max-width: 720px; }
figure { margin: 0 0 26px; }
figcaption { margin-bottom: 6px; overflow-wrap: anywhere; }
figcaption b { color: var(--ink); }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 8px; }
.pair img { width: 100%; border-radius: 6px; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr));
  gap: 18px; }
@media (max-width: 620px) {
  main { padding: 16px 14px 48px; }
  .pair { grid-template-columns: 1fr; }
  td .soft { white-space: normal; }
}
dl { display: grid; grid-template-columns: minmax(110px, max-content) 1fr; gap: 4px 18px;
  margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
code, pre { font: .85rem/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; background: var(--pale); border-radius: 6px; padding: 10px 14px; }
summary { cursor: pointer; color: var(--blue); margin: 12px 0 6px; }
"""
