"""Every relative link of every Markdown page leads somewhere.    check_docs.py ROOT"""

import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
errors = []
links = 0
for page in sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md"), *(root / "examples").rglob("*.md")]):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if re.match(r"\w+:", target):
            continue
        links += 1
        if not (page.parent / target).exists():
            errors.append(f"{page.relative_to(root)}: the link to {target} leads nowhere")
print("\n".join(errors) or f"{links} links are well")
sys.exit(bool(errors) or links < 10)
